"""Masks and cut-outs of your pictures: `python predict.py model=u2net weights=FILE input=DIR`."""

import re
import sys

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="predict")
def main(cfg: DictConfig) -> None:
    from src.prediction.door import predict  # imports torch, which --help does not need

    sys.exit(predict(cfg))


if __name__ == "__main__":
    # Hydra's grammar has no bare #; a colour such as output=#ff8800 needs quotes there.
    sys.argv = [re.sub(r"(?<![\"'\w])#[0-9a-fA-F]{3,8}\b", r"'\g<0>'", word) for word in sys.argv]
    main()
