"""Masks from the boxes of a COCO file: `python annotate.py boxes=FILE images=DIR weights=FILE`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["annotate", *sys.argv[1:]]))
