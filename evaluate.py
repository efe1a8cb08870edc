"""Scores a folder of maps, or a checkpoint: `python evaluate.py maps=DIR truth=DIR output=DIR`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
