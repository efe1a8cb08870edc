"""Trains and tests a model: `python train.py model=isnet data=dis5k trainer.devices=4`."""

import sys

import hydra
from omegaconf import DictConfig

from src.command_line import as_overrides
from src.runs import door, resume

door.register()


@hydra.main(version_base=None, config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    return door.start(cfg)


if __name__ == "__main__":
    sys.argv[1:] = as_overrides(sys.argv[1:])
    if resume.asks(sys.argv[1:]):
        door.continue_run(sys.argv[1:])  # nothing of it is composed anew
    else:
        main()
