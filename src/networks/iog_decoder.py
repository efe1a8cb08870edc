"""IOG's two decoders: CoarseNet descends the pyramid, FineNet joins its levels (figure 3)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import conv_norm, resize_corners

WIDTH = 256


class CoarseMaps(NamedTuple):
    """What CoarseNet makes, coarsest first.

    pyramid: `(B, 256, h, w)` features of the levels.
    logits: `(B, 1, H/4, W/4)`, one map per level.
    """

    pyramid: list[Tensor]
    logits: list[Tensor]


class CoarseNet(nn.Module):
    """A feature pyramid with a prediction at each level.

    The first two levels have one size, so that nothing is enlarged between them.

    Args:
        channels: Of the maps, coarsest first; the finest is a quarter of the input.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(*conv_norm(width, WIDTH), nn.ReLU()) for width in channels
        )
        self.upsamples = nn.ModuleList(
            nn.Sequential(*conv_norm(WIDTH, WIDTH)) for _ in channels[2:]
        )
        self.heads = nn.ModuleList(CoarseHead() for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> CoarseMaps:
        level = self.laterals[0](maps[0])
        pyramid = [level]
        for i, lateral in enumerate(self.laterals[1:], start=1):
            if i > 1:
                level = self.upsamples[i - 2](resize_corners(level, maps[i]))
            level = lateral(maps[i]) + level
            pyramid.append(level)
        logits = [head(x, maps[-1]) for head, x in zip(self.heads, pyramid, strict=True)]
        return CoarseMaps(pyramid, logits)

    @staticmethod
    def official_name(name: str) -> str:
        module, index, rest = name.split(".", 2)
        if module == "upsamples":  # theirs count one that is never called, and open with a resize
            part, leaf = rest.split(".")
            return f"upsamples.{int(index) + 1}.{int(part) + 1}.{leaf}"
        if module == "heads":
            return f"predict.{index}.{CoarseHead.official_name(rest)}"
        return name


class CoarseHead(nn.Module):
    """Features of one level to logits of the finest level's size; the BatchNorm comes last."""

    # Resizing stands between them, which a scale and a shift may pass: its weights sum to one.
    commuting_norms = (("predict", "norm"),)

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(*conv_norm(WIDTH, WIDTH), nn.ReLU())
        self.predict = nn.Conv2d(WIDTH, 1, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return self.norm(resize_corners(self.predict(self.squeeze(x)), like))

    @staticmethod
    def official_name(name: str) -> str:
        return name.replace("squeeze.", "").replace("predict.", "3.").replace("norm.", "5.")


class FineNet(nn.Module):
    """Sends each level through bottlenecks, the coarsest through most, and predicts from all.

    Maps `(B, 256, h, w)`, coarsest first, to logits `(B, 1, H/4, W/4)`.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.cascade = nn.ModuleList(
            nn.Sequential(*(Bottleneck(WIDTH) for _ in range(levels - 1 - i)))
            for i in range(levels)
        )
        self.predict = nn.Sequential(Bottleneck(levels * WIDTH), *conv_norm(WIDTH, 1, kernel=3))

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        levels = [
            resize_corners(blocks(x), pyramid[-1])
            for blocks, x in zip(self.cascade, pyramid, strict=True)
        ]
        return self.predict(torch.cat(levels, dim=1))

    @staticmethod
    def official_name(name: str) -> str:
        return name.replace("predict.", "final_predict.").replace("shortcut.", "downsample.")


class Bottleneck(nn.Module):
    """A residual bottleneck to 256 channels whose shortcut always is a convolution."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        width = WIDTH // 2
        self.conv1, self.bn1 = conv_norm(in_channels, width)
        self.conv2, self.bn2 = conv_norm(width, width, kernel=3)
        self.conv3, self.bn3 = conv_norm(width, WIDTH)
        self.shortcut = nn.Sequential(*conv_norm(in_channels, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.shortcut(x)).relu()
