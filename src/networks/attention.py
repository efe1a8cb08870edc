"""InSPyReNet's attention: parallel axial (PAA-e, PAA-d), scale-invariant over context (SICA)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.networks.blocks import at_least_fp32, resize, without_autocast


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


class ConvBNReLU(ConvBN):
    """`ConvBN` with a ReLU behind it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)


class ScaleInvariantAttention(nn.Module):
    """Every pixel attends to summaries of foreground, background and what lies between.

    Args:
        size: (height, width) at which the summaries are made, whatever the size of the maps; what
            makes the attention at high resolution the one that was trained at low resolution.
        with_laplacian: Also summarize by the sign of the coarser level's Laplacian.
    """

    def __init__(
        self, in_channels: int, channels: int, size: tuple[int, int], *, with_laplacian: bool
    ) -> None:
        super().__init__()
        self.size = size
        self.threshold = nn.Parameter(torch.tensor([0.5]))
        self.laplacian_threshold = nn.Parameter(torch.tensor([0.5])) if with_laplacian else None
        self.query = _two(in_channels, channels, 3)
        self.key = _two(in_channels, channels, 1)
        self.value = _two(in_channels, channels, 1)
        self.attended = ConvBNReLU(channels, channels, 3)
        self.join = ConvBNReLU(in_channels + channels, channels, 3)
        self.refine = ConvBNReLU(channels, channels, 3)
        self.head = ConvBN(channels, 1)

    def forward(
        self, x: Tensor, logits: Tensor, laplacian: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine `x` `(B, in_channels, h, w)` by the coarser level's `logits` and `laplacian`.

        Returns features `(B, channels, h, w)` and Laplacian logits `(B, 1, h, w)`.
        """
        contexts = self._contexts(x, self._regions(x, logits, laplacian))
        attended = self.attended(self._attend(x, contexts))
        x = self.refine(self.join(torch.cat([x, attended], dim=1)))
        return x, self.head(x)

    def _regions(self, x: Tensor, logits: Tensor, laplacian: Tensor | None) -> Tensor:
        """Maps of foreground, background and confusion, and of the Laplacian's two signs."""
        excess = _probability(logits, x) - self.threshold
        # Confusion is not clipped and becomes negative far from the threshold, as released.
        regions = [*_sides(excess), self.threshold - excess.abs()]
        if self.laplacian_threshold is not None:
            if laplacian is None:
                raise ValueError("this attention was built for a Laplacian and got none")
            regions += _sides(_probability(laplacian, x) - self.laplacian_threshold)
        return torch.cat(regions, dim=1)

    def _contexts(self, x: Tensor, regions: Tensor) -> Tensor:
        """The sum of features over each region, `(B, in_channels, regions, 1)`.

        The released networks read the memory of a map `(C, h·w)` as `(h·w, C)` without permuting
        it; the weights were trained so. Sums over 147,456 pixels overflow fp16, hence fp32.
        """
        with without_autocast(x):
            features, regions = (resize(at_least_fp32(m), self.size) for m in (x, regions))
            pixels = self.size[0] * self.size[1]
            rows = features.reshape(x.shape[0], pixels, -1)
            sums = regions.reshape(x.shape[0], -1, pixels) @ rows
        return sums.transpose(1, 2).unsqueeze(3)

    def _attend(self, x: Tensor, contexts: Tensor) -> Tensor:
        with without_autocast(x):
            key, value = (_as_heads(part(contexts)) for part in (self.key, self.value))
        query = _as_heads(self.query(x))
        attended = F.scaled_dot_product_attention(query, key.to(query), value.to(query))
        return attended[:, 0].transpose(1, 2).unflatten(2, x.shape[2:])


def _as_heads(x: Tensor) -> Tensor:
    """`(B, C, h, w)` to `(B, 1, h·w, C)`: one head, a token per position."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)


def _two(in_channels: int, channels: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBNReLU(in_channels, channels, size), ConvBNReLU(channels, channels, size)
    )


def _probability(logits: Tensor, like: Tensor) -> Tensor:
    return resize(at_least_fp32(logits), like).sigmoid()


def _sides(excess: Tensor) -> list[Tensor]:
    return [excess.clamp(0, 1), (-excess).clamp(0, 1)]
