"""Reads `key=value` words over a yaml of defaults."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from src.command_line import is_text, text_or_list
from src.errors import UserError
from src.literals import literals

_TEXT = ("experiment", "train")  # not for Hydra, where they choose or hold other settings


def settings(config: Path, words: Sequence[str]) -> DictConfig:
    """The yaml with `key=value` words applied; a key that it lacks is a UserError.

    Paths and names are taken as they were typed; other values are YAML.

    Hydra would take `experiment=isnet/dis5k` for a choice of the group `conf/experiment`, hence
    OmegaConf alone.
    """
    cfg = OmegaConf.load(config)
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    for word in words:
        if "=" not in word:
            raise UserError(f"{word!r} is not key=value; --help lists the keys")
        key, _, value = word.partition("=")
        try:
            if value and _is_text(key, cfg):
                OmegaConf.update(cfg, key, literals(text_or_list(value)))
            else:
                cfg.merge_with_dotlist([word])
        except OmegaConfBaseException as error:
            keys = ", ".join(map(str, cfg))
            raise UserError(f"{str(error).splitlines()[0]}; the keys are {keys}") from error
        except YAMLError as error:
            raise UserError(f"{word}: {str(error).splitlines()[0]}") from error
    return cfg


def _is_text(key: str, cfg: DictConfig) -> bool:
    return key in cfg and (key in _TEXT or is_text(key))
