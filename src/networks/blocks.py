"""What several networks are made of."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(
    in_channels: int, out_channels: int, kernel: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution that keeps the size, without bias, and the BatchNorm behind it."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(out_channels)


def resize(x: Tensor, like: Tensor | Sequence[int]) -> Tensor:
    """Bilinear, half-pixel centres, to the height and width of `like`.

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
