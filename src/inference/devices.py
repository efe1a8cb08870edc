"""Where and in which precision a network runs."""

from typing import Literal

import torch

from src.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str | torch.device) -> torch.device:
    """`auto` takes the accelerator if there is one; a device that was asked for must exist."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {name!r} cannot be used here ({reason}); try device=cpu") from None
    return device


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a network runs; fp32 leaves everything as it is."""
    if precision not in _TYPES:
        raise UserError(f"precision {precision!r} is unknown; choose one of {', '.join(_TYPES)}")
    return torch.autocast(device.type, _TYPES[precision], enabled=precision != "fp32")
