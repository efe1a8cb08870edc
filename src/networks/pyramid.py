"""Gaussian image pyramid (Burt and Adelson, 1983) as InSPyReNet uses it on saliency logits.

Kim et al., "Revisiting Image Pyramid Structure for High Resolution Salient Object Detection",
ACCV 2022, https://arxiv.org/abs/2209.09475, sections 3.1 and 3.4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.networks.blocks import at_least_fp32, without_autocast

_TAPS = 7
_MARGIN = _TAPS // 2


class ImagePyramid(nn.Module):
    """Reduces, expands, and splits maps `(B, 1, H, W)` into a coarser one and its Laplacian.

    The kernel is a 7-tap Gaussian of sigma 1, borders are reflected, so a side must be longer than
    3 pixels. Computes in fp32 under autocast: differences of blurred logits do not survive 8 bits
    of mantissa.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        offsets = torch.arange(_TAPS, dtype=torch.float64) - _MARGIN
        weights = torch.exp(-(offsets**2) / 2)
        kernel = (weights / weights.sum()).float()
        self.register_buffer("kernel", kernel, persistent=False)

    def reduce(self, x: Tensor) -> Tensor:
        """Blur and keep every second pixel: `(B, 1, ceil(H/2), ceil(W/2))`."""
        return self._blur(at_least_fp32(x), stride=2)

    def expand(self, x: Tensor) -> Tensor:
        """Spread the pixels over the even positions of `(B, 1, 2H, 2W)` and blur."""
        x = at_least_fp32(x)
        batch, channels, height, width = x.shape
        spread = F.pad(x.reshape(batch, channels, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
        return 4 * self._blur(spread.reshape(batch, channels, 2 * height, 2 * width))

    def reconstruct(self, x: Tensor, laplacian: Tensor) -> Tensor:
        """Expand a map and add details to it, which are resized where they do not fit."""
        expanded, details = self.expand(x), at_least_fp32(laplacian)
        if details.shape != expanded.shape:
            details = F.interpolate(
                details, expanded.shape[2:], mode="bilinear", align_corners=True
            )
        return expanded + details

    def _blur(self, x: Tensor, stride: int = 1) -> Tensor:
        margins = (_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        kernel = self.kernel.to(x.dtype)
        with without_autocast(x):
            x = F.pad(x, margins, mode="reflect")
            x = F.conv2d(x, kernel.view(1, 1, _TAPS, 1), stride=(stride, 1))
            return F.conv2d(x, kernel.view(1, 1, 1, _TAPS), stride=(1, stride))


def transition_map(logits: Tensor, size: int) -> Tensor:
    """Where foreground and background meet: 1 within about `size / 2` pixels of an edge, else 0.

    Dilation minus erosion of the sigmoid of `logits` `(B, 1, H, W)` with an ellipse of the odd
    diameter `size`, above one half.
    """
    if size < 3 or size % 2 == 0:
        raise ValueError(f"the ellipse of a transition map is {size} wide; it must be odd and >= 3")
    probability = at_least_fp32(logits).sigmoid()
    difference = _dilate(probability, size) + _dilate(-probability, size)
    return (difference > 0.5).to(probability.dtype)


def ellipse_half_widths(size: int) -> list[int]:
    """Pixels on each side of the center, row by row, of OpenCV's ellipse of a diameter `size`."""
    radius = size // 2
    rows = range(-radius, radius + 1)
    return [round((radius**2 - row**2) ** 0.5) for row in rows]


def _dilate(x: Tensor, size: int) -> Tensor:
    """Maximum over an ellipse: row by row, as every row of it is one line of pixels.

    Needs `size` maps of memory where a window of `size`² would need `size` times as many.
    """
    radius, height = size // 2, x.shape[2]
    half_widths = ellipse_half_widths(size)
    lines = {
        half: F.max_pool2d(x, (1, 2 * half + 1), stride=1, padding=(0, half))
        for half in set(half_widths)
    }
    padded = {
        half: F.pad(line, (0, 0, radius, radius), value=float("-inf"))
        for half, line in lines.items()
    }
    result = x
    for row, half in enumerate(half_widths):
        result = torch.maximum(result, padded[half][:, :, row : row + height])
    return result
