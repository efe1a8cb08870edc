"""Masks and cut-outs of your pictures: `python predict.py model=u2net weights=FILE input=DIR`."""

import sys

import hydra
from omegaconf import DictConfig

from src import cli


@hydra.main(version_base=None, config_path="conf", config_name="predict")
def main(cfg: DictConfig) -> None:
    from src.prediction.door import predict  # imports torch, which --help does not need

    sys.exit(predict(cfg))


if __name__ == "__main__":
    cli.run(main)
