"""`finecut table`: collects runs into tables, or verifies them against the papers."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from src.command_line import is_text, literals, text_or_list
from src.errors import CommandError
from src.paths import CONF
from src.settings.commands import TablesSettings
from src.settings.parse import parse

_TEXT = ("experiment", "train")  # not for Hydra, where they choose or hold other settings
CONFIG = CONF / "tables.yaml"
HELP = """finecut puts what was scored into tables, beside the numbers that papers print: finished
runs, checkpoints (finecut evaluate weights=…) and folders of maps (finecut evaluate maps=…).

  python tables.py                                 a table of every finished run
  python tables.py runs=[logs,maps_scores]         and of maps that were scored
  python tables.py layout=wide                     data sets side by side, as papers print them
  python tables.py experiment=isnet/dis5k          of one recipe, beside the printed numbers
  python tables.py verify experiment=isnet/dis5k   exit code 0 only if every number agrees

"""


def settings(config: Path, words: Sequence[str]) -> DictConfig:
    """The yaml with `key=value` words applied; a key that it lacks is a CommandError.

    Paths and names are taken as they were typed; other values are YAML.

    Hydra would take `experiment=isnet/dis5k` for a choice of the group `conf/experiment`, hence
    OmegaConf alone.
    """
    cfg = OmegaConf.load(config)
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    for word in words:
        if "=" not in word:
            raise CommandError(f"{word!r} is not key=value; --help lists the keys")
        key, _, value = word.partition("=")
        try:
            if value and _is_text(key, cfg):
                OmegaConf.update(cfg, key, literals(text_or_list(value)))
            else:
                cfg.merge_with_dotlist([word])
        except OmegaConfBaseException as error:
            keys = ", ".join(map(str, cfg))
            raise CommandError(f"{str(error).splitlines()[0]}; the keys are {keys}") from error
        except YAMLError as error:
            raise CommandError(f"{word}: {str(error).splitlines()[0]}") from error
    return cfg


def _is_text(key: str, cfg: DictConfig) -> bool:
    return key in cfg and (key in _TEXT or is_text(key))


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    verifies = words[:1] == ["verify"]
    cfg = parse(TablesSettings, settings(CONFIG, words[1:] if verifies else words))
    # Matplotlib and numba take a second to import.
    from src.reporting.write_and_verify import verify_results, write_tables

    return verify_results(cfg) if verifies else write_tables(cfg)
