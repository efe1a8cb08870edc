"""A page to drop pictures on or to click in: `python app.py weights=FILE`."""

import sys

import hydra
from omegaconf import DictConfig

from src import cli


@hydra.main(version_base=None, config_path="conf", config_name="app")
def main(cfg: DictConfig) -> None:
    from src.page.door import serve  # imports torch, which --help does not need

    sys.exit(serve(cfg))


if __name__ == "__main__":
    cli.run(main)
