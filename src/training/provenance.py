"""Where a run's numbers come from: config, code, versions, data, weights and hardware."""

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from src.hashing import bytes_hash
from src.results.provenance import git_state, read, write
from src.training.config import config_hash

if TYPE_CHECKING:  # it takes seconds to import, and commands only read what was noted
    import torch

_PACKAGES = ("torch", "lightning", "timm", "torchmetrics", "albumentations", "numpy", "numba")
__all__ = ["collect", "git_state", "hardware", "read", "state_hash", "write"]


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


def state_hash(state: "Mapping[str, torch.Tensor]") -> str:
    """SHA-256 of weights themselves: equal ones agree, whatever file and folder they lie in."""
    import torch

    def parts() -> Iterator[bytes | memoryview]:
        for name, tensor in sorted(state.items()):
            values = tensor.detach().cpu().contiguous()
            yield f"{name} {values.dtype} {tuple(values.shape)}".encode()
            yield values.flatten().view(torch.uint8).numpy().data

    return bytes_hash(parts())


def hardware() -> dict[str, Any]:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"machine": platform.machine(), "cores": os.cpu_count(), "gpus": gpus}
