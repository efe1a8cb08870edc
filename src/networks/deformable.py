"""Modulated deformable convolution (Zhu et al., CVPR 2019), and BiRefNet's pooling made of it."""

from typing import cast

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from src.networks.blocks import at_least_fp32, conv_norm, without_autocast

KERNELS = (1, 1, 3, 7)


class DeformableConv(nn.Module):
    """A convolution that reads each of its taps at a place, and with a weight, of the pixel's own.

    Keeps the size: `(B, in, H, W)` to `(B, out, H, W)`. Offsets are rows and columns in pixels and
    are not limited; what lies outside the map reads as 0. Weights are in [0, 2]. Both start as
    those of a plain convolution: no offset, weight 1.

    Args:
        in_channels: Of the map.
        out_channels: Of the result.
        kernel: Odd side of the kernel.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        taps, self.padding = kernel * kernel, kernel // 2
        self.offset = nn.Conv2d(in_channels, 2 * taps, kernel, padding=self.padding)
        self.modulation = nn.Conv2d(in_channels, taps, kernel, padding=self.padding)
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=self.padding, bias=False)
        for part in (self.offset, self.modulation):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(cast(Tensor, part.bias))

    def forward(self, x: Tensor) -> Tensor:
        given = (x, self.offset(x), self.conv.weight, 2 * self.modulation(x).sigmoid())
        bias = self.conv.bias  # none, until a norm is fused into it
        # Not every device has this in half precision, and places lose pixels in it.
        with without_autocast(x):
            values, offset, weight, modulation = map(at_least_fp32, given)
            y = deform_conv2d(
                values,
                offset,
                weight,
                None if bias is None else bias.to(weight),
                padding=self.padding,
                mask=modulation,
            )
        return cast(Tensor, y.to(x.dtype))


class DeformableBranch(nn.Module):
    """A deformable convolution, BatchNorm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = DeformableConv(in_channels, out_channels, kernel)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


class DeformablePooling(nn.Module):
    """Atrous spatial pyramid pooling with deformable convolutions in the place of dilated ones.

    Joins a map `(B, C, H, W)` seen by kernels of 1, 1, 3 and 7 pixels with its mean (BiRefNet,
    section 3.3); `(B, C, H, W)`.

    Args:
        channels: C.
        width: Channels of each branch.
    """

    def __init__(self, channels: int = 64, width: int = 256) -> None:
        super().__init__()
        self.branches = nn.ModuleList(DeformableBranch(channels, width, k) for k in KERNELS)
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm(channels, width), nn.ReLU())
        self.join, self.norm = conv_norm(width * (len(KERNELS) + 1), channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        parts = [branch(x) for branch in self.branches]
        mean = self.mean(x).expand_as(parts[0])
        joined = self.norm(self.join(torch.cat([*parts, mean], dim=1))).relu()
        return cast(Tensor, self.dropout(joined))
