"""Reads `key=value` words over a yaml of defaults."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from src.errors import UserError


def settings(config: Path, words: Sequence[str]) -> DictConfig:
    """The yaml with `key=value` words applied; a key that it lacks is a UserError.

    Hydra would take `experiment=isnet/dis5k` for a choice of the group `conf/experiment`, hence
    OmegaConf alone.
    """
    cfg = OmegaConf.load(config)
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    for word in words:
        if "=" not in word:
            raise UserError(f"{word!r} is not key=value; --help lists the keys")
        try:
            cfg.merge_with_dotlist([word])
        except OmegaConfBaseException as error:
            keys = ", ".join(map(str, cfg))
            raise UserError(f"{str(error).splitlines()[0]}; the keys are {keys}") from error
        except YAMLError as error:
            raise UserError(f"{word}: {str(error).splitlines()[0]}") from error
    return cfg
