"""What several networks are made of."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = (1, 2, 3, 6)


def at_least_fp32(x: Tensor) -> Tensor:
    """Half precision, truth values and whole numbers become fp32; fp64 stays what it is."""
    return x if x.dtype == torch.float64 else x.float()


def without_autocast(like: Tensor) -> AbstractContextManager[object]:
    """Context in which operations keep the type of their inputs, on the device of `like`."""
    device = like.device.type  # meta, on which costs are counted, has no autocast
    if device == "meta" or not torch.is_autocast_enabled(device):
        return nullcontext()  # ONNX has no word for an autocast region, not even a disabled one
    return torch.autocast(device, enabled=False)


def conv_norm(
    in_channels: int, out_channels: int, kernel: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution that keeps the size, without bias, and the BatchNorm behind it."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(out_channels)


def resize(x: Tensor, like: Tensor | Sequence[int]) -> Tensor:
    """Bilinear, half-pixel centers, to the height and width of `like`.

    Where sizes agree there is nothing to do, and nothing is done: it would cost a pass over memory.
    """
    size = _size(like)
    if tuple(x.shape[2:]) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def resize_corners(x: Tensor, like: Tensor | Sequence[int]) -> Tensor:
    """Bilinear, corner pixels kept in place, to the height and width of `like`."""
    return F.interpolate(x, _size(like), mode="bilinear", align_corners=True)


def _size(like: Tensor | Sequence[int]) -> tuple[int, ...]:
    return tuple(like.shape[2:] if isinstance(like, Tensor) else like)


class PyramidPooling(nn.Module):
    """Joins a map `(B, C, h, w)` with its means over 1, 4, 9 and 36 parts; `(B, out, h, w)`.

    Each part's mean passes a 1×1 convolution to C/4 channels (512 at 2048).
    """

    def __init__(self, in_channels: int, out_channels: int = 512) -> None:
        super().__init__()
        width = in_channels // len(LEVELS)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(level), *conv_norm(in_channels, width), nn.ReLU())
            for level in LEVELS
        )
        joined = in_channels + width * len(LEVELS)
        self.bottleneck = nn.Sequential(*conv_norm(joined, out_channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        parts = [resize_corners(stage(x), x) for stage in self.stages]
        return cast(Tensor, self.bottleneck(torch.cat([*parts, x], dim=1)))


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, which normalizes single values by its running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        single = input.numel() == input.shape[1]
        if not (self.training and single and self.running_mean is not None):
            return super().forward(input)
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def allow_single_values(network: nn.Module) -> nn.Module:
    """Give a network's BatchNorms that rule, in place: theirs and those of its backbone."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm  # its state, and who else holds it, stay as they are
    return network
