"""Masks and cut-outs of your images: `python predict.py model=u2net weights=FILE input=DIR`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
