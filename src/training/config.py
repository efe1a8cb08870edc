"""A run's config: composed, resolved, saved in its folder, and read by all its processes."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.atomic import atomic_write
from src.command_line import is_literal, literals
from src.errors import CommandError, UserError
from src.hashing import value_hash
from src.settings.multiscale import Multiscale

CONFIG = "config.yaml"
# Ours have a few hundred lines; what is a thousand times as long would take minutes to read.
_LARGEST = 4 << 20
# Stands for the run's folder in the saved file, so that a folder can be moved and resumed.
_HERE = "<run>"
_EVENTS = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What changes where a run happens or how it is watched, but not what it computes.
_IRRELEVANT = (
    *("folder", "published", "logger", "resume", "resume_data", "hydra", "sweep", "launcher"),
    "overwrite",
)
_IRRELEVANT_DATA = ("num_workers", "cache_dir")


def resolve(cfg: DictConfig) -> DictConfig:
    """The config without interpolations; an unset or unknown value is a clear error.

    What is left of `${x}` in it is text, and escaped as such.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"config: {str(error).splitlines()[0]}") from error
    return DictConfig(literals(plain))


def save_config(cfg: DictConfig, folder: Path) -> Path:
    """Write the resolved config as `<folder>/config.yaml` and return its path."""
    path = folder / CONFIG
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(path, OmegaConf.to_yaml(resolve(cfg)))
    return path


def load_config(folder: Path, *, located: bool = True) -> DictConfig:
    """Read a run's saved config; unless `located`, its folder stays unnamed.

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
    """Texts that OmegaConf would resolve: a saved config has none, nor may a foreign one."""
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


def has_key(cfg: DictConfig, key: str) -> bool:
    """Whether a config has a dotted key, be it null."""
    *parents, last = key.split(".")
    node = OmegaConf.select(cfg, ".".join(parents)) if parents else cfg
    return isinstance(node, DictConfig) and last in node


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a config with their values; lists and empty groups are values."""
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            yield from flat(value, f"{name}.")
        else:
            yield name, value


def config_hash(cfg: Mapping[Any, Any] | DictConfig) -> str:
    """Twelve characters that agree for configs which compute the same."""
    plain = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else dict(cfg)
    assert isinstance(plain, dict)
    kept: dict[Any, Any] = {key: v for key, v in plain.items() if key not in _IRRELEVANT}
    if isinstance(kept.get("data"), dict):
        kept["data"] = {k: v for k, v in kept["data"].items() if k not in _IRRELEVANT_DATA}
    if isinstance(kept.get("memory"), dict):  # what was chosen is in the keys that it set
        kept["memory"] = {k: v for k, v in kept["memory"].items() if k != "chosen"}
    return value_hash(kept)[:12]


def register() -> None:
    """Make `${run_folder:…}` and `${choice:…}` known to the configs."""
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
    OmegaConf.register_new_resolver("choice", choice, replace=True)
    OmegaConf.register_new_resolver("images_at_once", images_at_once, replace=True)
    OmegaConf.register_new_resolver("typed", typed, replace=True)
    OmegaConf.register_new_resolver("accumulate", lambda whole, part: whole // part, replace=True)


def choice(group: str, *, _root_: DictConfig) -> str:
    """What the command chose of a group, `dis5k` for `data=dis5k`; outside of one, its name."""
    # First the config's own: a program of the user's that calls `train` may be one of Hydra's.
    hydra = _root_.get("hydra")
    if hydra is None:
        if not HydraConfig.initialized():
            return group
        hydra = HydraConfig.get()
    return str(hydra.runtime.choices.get(group) or "none")


def typed(*keys: str, _root_: DictConfig) -> list[str]:
    """Those of the keys that the command line sets; none outside of a command."""
    hydra = _root_.get("hydra")
    if hydra is None:
        if not HydraConfig.initialized():
            return []
        hydra = HydraConfig.get()
    words = hydra.overrides.task or []
    given = {str(word).partition("=")[0].lstrip("+~") for word in words}
    return [key for key in keys if key in given]


def images_at_once(
    batch: int,
    size: int | list[int],
    fitting: int,
    multiscale: Any = None,
    activations: float = 1,
) -> int:
    """The largest part of a batch that fits, where `fitting` images of 1024² do with IS-Net.

    Args:
        batch: The recipe's images a step.
        size: Side or [height, width] of an image.
        fitting: How many images of 1024² fit.
        multiscale: The sizes of batches, of which the largest has to fit; None: `size`.
        activations: How many times as much an image keeps as with IS-Net.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if multiscale is not None:
        with suppress(ValueError):  # what cannot be meant is the settings' to refuse
            height, width = Multiscale.parse(multiscale).largest
    limit = max(1, int(fitting * 1024 * 1024 / (height * width * activations)))
    return max(part for part in range(1, min(batch, limit) + 1) if batch % part == 0)


def run_folder(resume: str | None, parent: str) -> str:
    """The folder of a run. Processes that SLURM or torchrun started together agree on it."""
    if resume is not None:
        return str(resume)
    slurm, torchrun = os.environ.get("SLURM_JOB_ID"), os.environ.get("TORCHELASTIC_RUN_ID")
    if slurm and "SLURM_PROCID" in os.environ:
        task = os.environ.get("SLURM_ARRAY_TASK_ID", "")
        return f"{parent}/slurm-{slurm}{'-' + task if task else ''}"
    if torchrun and torchrun != "none":
        return f"{parent}/torchrun-{torchrun}"
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 or "NODE_RANK" in os.environ:
        raise CommandError(
            "processes that are started together need one folder: give torchrun "
            f"--rdzv-id=NAME, or all of them hydra.run.dir={parent}/NAME"
        )
    # One command is one process: its own id keeps two of the same second apart.
    return f"{parent}/{time.strftime('%Y-%m-%d_%H-%M-%S')}-{os.getpid()}"
