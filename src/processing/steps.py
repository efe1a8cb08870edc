"""The steps that bring logits back to an 8-bit mask; a model names those it uses, in order.

The authors of the six systems disagree on where they resize, normalize and quantize, and the
order moves published numbers, so the order is data. Every step maps a float map `(h, w)` to
another; the size of the original image is `(height, width)`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
Step = Callable[[Tensor, Size], Tensor]


def sigmoid(values: Tensor, size: Size) -> Tensor:
    return values.sigmoid()


def invert(values: Tensor, size: Size) -> Tensor:
    """1 - x: the portrait network draws dark lines on white (U²-Net, portrait demo)."""
    return 1 - values


def min_max(values: Tensor, size: Size) -> Tensor:
    """Stretch to [0, 1] per image. A constant map, which has no stretch, is clipped instead."""
    return stretched(values, values.min(), values.max())


def stretched(values: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """`min_max` between given levels; values beyond them leave [0, 1]."""
    if high == low:
        return values.clamp(0, 1)
    return (values - low) / (high - low)


def resize(values: Tensor, size: Size) -> Tensor:
    """Bilinear, half-pixel centers, as torch and OpenCV do."""
    return _interpolate(values, size, align_corners=False)


def resize_corners(values: Tensor, size: Size) -> Tensor:
    """Bilinear, corner pixels kept in place (`align_corners=True`)."""
    return _interpolate(values, size, align_corners=True)


def resize_8bit(values: Tensor, size: Size) -> Tensor:
    """Quantize by truncation, then Pillow's antialiased bilinear resize, as U²-Net's test does."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray((values.cpu().numpy() * 255).astype(np.uint8))
    resized = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(resized, dtype=np.float32) / 255).to(values.device)


def _interpolate(values: Tensor, size: Size, *, align_corners: bool) -> Tensor:
    if values.shape == size:
        return values
    grown = F.interpolate(values[None, None], size, mode="bilinear", align_corners=align_corners)
    return grown[0, 0]


STEPS: dict[str, Step] = {
    step.__name__: step for step in (sigmoid, invert, min_max, resize, resize_corners, resize_8bit)
}
STRETCH = min_max.__name__
