"""Collects finished runs into tables: `python tables.py experiment=isnet/dis5k`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["table", *sys.argv[1:]]))
