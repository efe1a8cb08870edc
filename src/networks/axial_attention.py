"""Parallel axial attention, encoder (PAA-e) and decoder (PAA-d).

Lee et al., "Uncertainty Augmented Context Attention for Polyp Segmentation", 2021,
https://arxiv.org/abs/2107.02368, as used by InSPyReNet (https://arxiv.org/abs/2209.09475, fig. 2).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .precision import at_least_fp32, without_autocast


class ConvBN(nn.Module):
    """Convolution without bias and BatchNorm, keeping the size."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding="same", dilation=dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class AxialAttention(nn.Module):
    """Attention between the positions of one axis, `height` or `width`, of maps `(B, C, H, W)`.

    A position's vector is everything else of the map. Along the width that is its column in all
    channels. Along the height the released networks read the same row-major memory in rows of
    `H` numbers, which are columns only where the map is square; the weights were trained so.
    Scores are sums over hundreds of products without scaling, hence fp32 under autocast.
    """

    def __init__(self, channels: int, axis: Literal["height", "width"]) -> None:
        super().__init__()
        self.axis = axis
        self.query = ConvBN(channels, channels // 8)
        self.key = ConvBN(channels, channels // 8)
        self.value = ConvBN(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[2] if self.axis == "height" else x.shape[3]
        query, key, value = (  # one head: (B, 1, length, everything else)
            at_least_fp32(part(x)).reshape(x.shape[0], 1, -1, length).transpose(2, 3)
            for part in (self.query, self.key, self.value)
        )
        with without_autocast(x):
            attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        attended = attended.transpose(2, 3).reshape(x.shape)
        return torch.addcmul(x.to(attended), self.gamma.to(attended), attended)


class AxialBranch(nn.Module):
    """Context of one kernel size: a cross-shaped kernel, both axes' attention, a dilated kernel."""

    def __init__(self, in_channels: int, channels: int, size: int) -> None:
        super().__init__()
        self.squeeze = ConvBN(in_channels, channels)
        self.row = ConvBN(channels, channels, (1, size))
        self.column = ConvBN(channels, channels, (size, 1))
        self.along_height = AxialAttention(channels, "height")
        self.along_width = AxialAttention(channels, "width")
        self.dilated = ConvBN(channels, channels, 3, dilation=size)

    def forward(self, x: Tensor) -> Tensor:
        x = self.column(self.row(self.squeeze(x)))
        return self.dilated(self.along_height(x) + self.along_width(x))


class AxialEncoder(nn.Module):
    """PAA-e: a backbone map `(B, in_channels, h, w)` to `(B, channels, h, w)` with context."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.pointwise = ConvBN(in_channels, channels)
        self.branches = nn.ModuleList(
            AxialBranch(in_channels, channels, size) for size in (3, 5, 7)
        )
        self.fuse = ConvBN(4 * channels, channels, 3)
        self.shortcut = ConvBN(in_channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        contexts = [self.pointwise(x), *(branch(x) for branch in self.branches)]
        return F.relu(self.fuse(torch.cat(contexts, dim=1)) + self.shortcut(x))


class AxialDecoder(nn.Module):
    """PAA-d: joins the three coarsest maps into features and logits at the finest one's size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.join = ConvBN(3 * channels, channels, 3)
        self.along_height = AxialAttention(channels, "height")
        self.along_width = AxialAttention(channels, "width")
        self.refine = nn.ModuleList(ConvBN(channels, channels, 3) for _ in range(3))
        self.head = nn.Conv2d(channels, 1, 3, padding=1, bias=False)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """`maps`: finest first. Returns features `(B, channels, h, w)` and logits `(B, 1, h, w)`.

        The maps are joined coarsest first.
        """
        size = maps[0].shape[2:]
        grown = [F.interpolate(x, size, mode="bilinear", align_corners=True) for x in maps[1:]]
        x = self.join(torch.cat([*reversed(grown), maps[0]], dim=1))
        x = self.along_height(x) + self.along_width(x)
        for unit in self.refine:
            x = unit(x)
        return x, self.head(x)
