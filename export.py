"""A model as a file of its own: `python export.py weights=FILE format=onnx destination=DIR`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
