"""A page to drop images on or to click in: `python app.py weights=FILE`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
