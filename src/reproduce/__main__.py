"""`python -m src.reproduce experiment=isnet/dis5k seeds=0,1,2 root=SETS`."""

import logging
import sys

from src.reproduce.cli import main

logging.basicConfig(level=logging.INFO, format="%(message)s")
sys.exit(main(sys.argv[1:]))
