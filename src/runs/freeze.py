"""Freezes a composed config into a run folder, so that every process of the run reads the same."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.errors import UserError
from src.literals import is_literal, literals
from src.whole_file import write_whole

CONFIG = "config.yaml"
# Ours have a few hundred lines; what is a thousand times as long would take minutes to read.
_LARGEST = 4 << 20
# Stands for the run's folder in the frozen file, so that a folder can be moved and resumed.
_HERE = "<run>"
_EVENTS = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What changes where a run happens or how it is watched, but not what it computes.
_IRRELEVANT = (
    *("folder", "published", "logger", "resume", "resume_data", "hydra", "sweep", "launcher"),
    "overwrite",
)
_IRRELEVANT_DATA = ("num_workers", "cache_dir")


def resolved(cfg: DictConfig) -> DictConfig:
    """The config without interpolations; an unset or unknown value is a clear error.

    What is left of `${x}` in it is text, and escaped as such.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"config: {str(error).splitlines()[0]}") from error
    return DictConfig(literals(plain))


def freeze(cfg: DictConfig, folder: Path) -> Path:
    """Write the resolved config as `<folder>/config.yaml` and return its path."""
    path = folder / CONFIG
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, OmegaConf.to_yaml(resolved(cfg)))
    return path


def thaw(folder: Path, *, located: bool = True) -> DictConfig:
    """Read a run's frozen config; unless `located`, its folder stays unnamed.

    Raises:
        UserError: The folder has none, or it is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} is no run folder: it has no {CONFIG}")
    plain = _read(path)
    return DictConfig(_located(plain, str(folder)) if located else plain)


def _read(path: Path) -> dict[Any, Any]:
    """The file's values, escaped as they were written."""
    advice = "put a copy of it back, or start a new run"
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path} has {path.stat().st_size} bytes, which no run wrote; {advice}")
        text = path.read_text(encoding="utf-8")
        kinds = [type(event) for event in yaml.parse(text, _EVENTS)]
        if yaml.AliasEvent in kinds:  # ten lines of them can stand for gigabytes
            raise UserError(
                f"{path} refers to its own values (*name), which no run wrote; {advice}"
            )
        # OmegaConf would make a dictionary of a lone word.
        cfg = OmegaConf.create(text) if kinds[2:3] == [yaml.MappingStartEvent] else None
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, OSError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged ({reason}); {advice}") from None
    if not isinstance(cfg, DictConfig) or not cfg:
        raise UserError(f"{path} is damaged (it holds no settings); {advice}")
    plain = OmegaConf.to_container(cfg)
    assert isinstance(plain, dict)
    if (reference := next(_references(plain), None)) is not None:
        raise UserError(f"{path} is damaged ({reference} refers to another value); {advice}")
    return plain


def _references(value: Any) -> Iterator[str]:
    """Texts that OmegaConf would resolve: a frozen config has none, nor may a foreign one."""
    if isinstance(value, str) and not is_literal(value):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _references(one)


def _located(value: Any, folder: str) -> Any:
    """The values with the run's folder where they start with what stands for it."""
    if isinstance(value, dict):
        return {key: _located(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [_located(inner, folder) for inner in value]
    if isinstance(value, str) and (value == _HERE or value.startswith(f"{_HERE}/")):
        return literals(folder) + value.removeprefix(_HERE)
    return value


def wait_for_config(folder: Path, cfg: DictConfig | None = None, seconds: float = 120) -> None:
    """Let the processes of a job that did not freeze the config wait for the one that does.

    Args:
        folder: Of the run.
        cfg: What the file has to hold, where there was one before; None: anything.
        seconds: To wait.

    Raises:
        UserError: It was not written in that time.
    """
    deadline = time.monotonic() + seconds
    path = folder / CONFIG
    while not path.is_file() or (cfg is not None and thaw(folder, located=False) != cfg):
        if time.monotonic() > deadline:
            raise UserError(f"rank 0 wrote no {path} in {seconds:.0f} s; did it fail?")
        time.sleep(0.2)


def config_hash(cfg: Mapping[Any, Any] | DictConfig) -> str:
    """Twelve characters that agree for configs which compute the same."""
    plain = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else dict(cfg)
    assert isinstance(plain, dict)
    kept: dict[Any, Any] = {key: v for key, v in plain.items() if key not in _IRRELEVANT}
    if isinstance(kept.get("data"), dict):
        kept["data"] = {k: v for k, v in kept["data"].items() if k not in _IRRELEVANT_DATA}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:12]
