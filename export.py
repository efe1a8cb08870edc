"""A model as a file of its own: `python export.py weights=FILE format=onnx destination=DIR`."""

import sys

import hydra
from omegaconf import DictConfig

from src import cli


@hydra.main(version_base=None, config_path="conf", config_name="export")
def main(cfg: DictConfig) -> None:
    from src.export.door import run  # imports torch, which --help does not need

    sys.exit(run(cfg))


if __name__ == "__main__":
    cli.run(main)
