"""Where a network computes in fp32 although autocast would not."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_fp32(x: Tensor) -> Tensor:
    """Half precision becomes fp32; fp32 and fp64 stay what they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def without_autocast(like: Tensor) -> AbstractContextManager[object]:
    """Context in which operations keep the type of their inputs, on the device of `like`."""
    if not torch.is_autocast_enabled(like.device.type):
        return nullcontext()  # ONNX has no word for an autocast region, not even a disabled one
    return torch.autocast(like.device.type, enabled=False)
