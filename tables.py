"""Collects finished runs into tables: `python tables.py experiment=isnet/dis5k`."""

import logging
import sys

from src.tables.door import main

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1:]))
