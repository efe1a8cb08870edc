"""Pyramid pooling (Zhao et al., PSPNet, CVPR 2017), as DEXTR and IOG use it."""

from typing import cast

import torch
from torch import Tensor, nn

from .blocks import conv_norm, resize_corners

LEVELS = (1, 2, 3, 6)


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
