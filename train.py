"""Trains and tests a model: `python train.py model=isnet data=dis5k trainer.devices=4`."""

import hydra
from omegaconf import DictConfig

from src import cli
from src.runs import door

door.register()


@hydra.main(version_base=None, config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    return door.start(cfg)


if __name__ == "__main__":
    cli.run(main)
