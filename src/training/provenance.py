"""Where a run's numbers come from: config, code, versions, data, weights and hardware."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from src.atomic import atomic_write
from src.errors import UserError
from src.hashing import bytes_hash
from src.paths import IMPORT_ROOT, IS_INSTALLED
from src.training.config import config_hash

if TYPE_CHECKING:  # it takes seconds to import, and commands only read what was noted
    import torch

PROVENANCE = "provenance.json"
_PACKAGES = ("torch", "lightning", "timm", "torchmetrics", "albumentations", "numpy", "numba")


def collect(cfg: DictConfig, data: dict[str, Any]) -> dict[str, Any]:
    """Everything known before training starts. `data` is the data module's fingerprint."""
    return {
        "command": " ".join(sys.orig_argv),
        "config_hash": config_hash(cfg),
        "config": OmegaConf.to_container(cfg, resolve=True),
        "git": git_state(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
        "seed": cfg.seed,
        "data": data,
        "hardware": hardware(),
    }


def write(folder: Path, **entries: Any) -> None:
    """Add entries to the run's provenance file; an interrupted write leaves the old file."""
    known = read(folder)
    text = json.dumps({**known, **entries}, indent=2, default=str) + "\n"
    atomic_write(folder / PROVENANCE, text)


def read(folder: Path) -> dict[str, Any]:
    """What a run noted of itself; nothing where it noted nothing yet.

    Raises:
        UserError: The file is damaged.
    """
    path = folder / PROVENANCE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("not an object")
        resumes = known.get("resumes", [])
        if not isinstance(resumes, list) or not all(isinstance(one, dict) for one in resumes):
            raise ValueError("resumes are no list of objects")
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"{path} is damaged ({reason}); put a copy of it back, or remove it:"
            " the run then notes anew where it comes from, but not what it was resumed with"
        ) from None
    return known


def state_hash(state: "Mapping[str, torch.Tensor]") -> str:
    """SHA-256 of weights themselves: equal ones agree, whatever file and folder they lie in."""
    import torch

    def parts() -> Iterator[bytes | memoryview]:
        for name, tensor in sorted(state.items()):
            values = tensor.detach().cpu().contiguous()
            yield f"{name} {values.dtype} {tuple(values.shape)}".encode()
            yield values.flatten().view(torch.uint8).numpy().data

    return bytes_hash(parts())


def git_state() -> dict[str, Any]:
    """Commit of the code and whether it was changed since; nulls where git is not to be had."""
    if IS_INSTALLED:  # a repository around site-packages would be of something else
        return {"commit": None, "dirty": None}
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"machine": platform.machine(), "cores": os.cpu_count(), "gpus": gpus}


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(IMPORT_ROOT), *words], capture_output=True, text=True, check=True
    ).stdout.strip()
