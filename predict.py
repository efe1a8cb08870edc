"""Masks and cut-outs of your pictures: `python predict.py model=u2net weights=FILE input=DIR`."""

import re
import sys

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="predict")
def main(cfg: DictConfig) -> None:
    from src.prediction.door import predict  # imports torch, which --help does not need

    sys.exit(predict(cfg))


def as_overrides(words: list[str]) -> list[str]:
    """A shell's words in Hydra's grammar, which has no bare # (output=#ff8800) and no flags."""
    quoted = [re.sub(r"(?<![\"'\w])#[0-9a-fA-F]{3,8}\b", r"'\g<0>'", word) for word in words]
    return ["skip_existing=true" if word == "--skip-existing" else word for word in quoted]


if __name__ == "__main__":
    sys.argv = as_overrides(sys.argv)
    main()
