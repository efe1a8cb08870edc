"""Freezes a composed config into a run folder, so that every process of the run reads the same."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.errors import UserError
from src.whole_file import write_whole

CONFIG = "config.yaml"
# Stands for the run's folder in the frozen file, so that a folder can be moved and resumed.
_HERE = "<run>"
# What changes where a run happens or how it is watched, but not what it computes.
_IRRELEVANT = ("folder", "published", "logger", "resume", "hydra", "sweep", "launcher", "overwrite")
_IRRELEVANT_DATA = ("num_workers", "cache_dir")


def resolved(cfg: DictConfig) -> DictConfig:
    """The config without interpolations; an unset or unknown value is a clear error."""
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"config: {str(error).splitlines()[0]}") from error
    assert isinstance(plain, dict)
    return DictConfig(plain)


def freeze(cfg: DictConfig, folder: Path) -> Path:
    """Write the resolved config as `<folder>/config.yaml` and return its path."""
    path = folder / CONFIG
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, OmegaConf.to_yaml(resolved(cfg)))
    return path


def thaw(folder: Path, *, located: bool = True) -> DictConfig:
    """Read a run's frozen config; unless `located`, its folder stays unnamed."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} is no run folder: it has no {CONFIG}")
    text = path.read_text()
    cfg = OmegaConf.create(text.replace(_HERE, str(folder)) if located else text)
    assert isinstance(cfg, DictConfig)
    return cfg


def wait_for_config(folder: Path, seconds: float = 120) -> None:
    """Let the processes of a job that did not freeze the config wait for the one that does."""
    deadline = time.monotonic() + seconds
    while not (folder / CONFIG).is_file():
        if time.monotonic() > deadline:
            raise UserError(f"rank 0 wrote no {folder / CONFIG} in {seconds:.0f} s; did it fail?")
        time.sleep(0.2)


def config_hash(cfg: Mapping[Any, Any] | DictConfig) -> str:
    """Twelve characters that agree for configs which compute the same."""
    plain = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else dict(cfg)
    assert isinstance(plain, dict)
    kept: dict[Any, Any] = {key: v for key, v in plain.items() if key not in _IRRELEVANT}
    if isinstance(kept.get("data"), dict):
        kept["data"] = {k: v for k, v in kept["data"].items() if k not in _IRRELEVANT_DATA}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:12]
