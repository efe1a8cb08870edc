"""Trains and tests a model: `python train.py model=isnet data=dis5k trainer.devices=4`."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
