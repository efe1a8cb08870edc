"""Masks from the boxes of a COCO file: `python annotate.py boxes=FILE images=DIR weights=FILE`."""

import sys

import hydra
from omegaconf import DictConfig

from src import cli


@hydra.main(version_base=None, config_path="conf", config_name="annotate")
def main(cfg: DictConfig) -> None:
    from src.annotation.door import run  # imports torch, which --help does not need

    sys.exit(run(cfg))


if __name__ == "__main__":
    cli.run(main)
