"""IOG: inside-outside guidance (Zhang et al., CVPR 2020), and its refinement by further clicks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from src.networks.activation_checkpointing import checkpoint_activations
from src.networks.blocks import PyramidPooling, conv_norm, resize_corners
from src.networks.network import Network, Output
from src.networks.resnet import create_iog_resnet

WIDTH = 256
IMAGE_CHANNELS = 3
MAPS = ("fine", "coarse4", "coarse3", "coarse2", "coarse1")
_OFFICIAL = {
    "image_backbone": "backbone",
    "pooling": "psp4",
    "coarse": "Coarse_net",
    "fine": "Fine_net",
    "point_encoder": "iog_points",
}


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
    def to_upstream_key(name: str) -> str:
        module, index, rest = name.split(".", 2)
        if module == "upsamples":  # theirs count one that is never called, and open with a resize
            part, leaf = rest.split(".")
            return f"upsamples.{int(index) + 1}.{int(part) + 1}.{leaf}"
        if module == "heads":
            return f"predict.{index}.{CoarseHead.to_upstream_key(rest)}"
        return name


class CoarseHead(nn.Module):
    """Features of one level to logits of the finest level's size; the BatchNorm comes last."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(*conv_norm(WIDTH, WIDTH), nn.ReLU())
        self.predict = nn.Conv2d(WIDTH, 1, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return self.norm(resize_corners(self.predict(self.squeeze(x)), like))

    @staticmethod
    def to_upstream_key(name: str) -> str:
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
    def to_upstream_key(name: str) -> str:
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


class IOG(Network):
    """Segments the object that an inside click and the four corners of a box point at.

    52.1 M parameters. Input `(B, 5, H, W)`: image, inside map and outside map, all 0..255.
    `masks` holds the fine map and then the coarse ones, 4 to 1, each at input size; `features`
    holds `layer1` (stride 4) to `layer4` (strides 8, 16, 16) and, under the names of `MAPS`, the
    maps at a quarter of the input's size that `masks` enlarges.

    The authors' network returns 512² maps whatever the input; here they follow the input's size.

    Args:
        backbone: One of `RESNETS`.
        in_channels: 3 for the image, the rest for prompts.
        pretrained: ImageNet weights of the backbone, see `build_backbone`.
    """

    feature_names = ("layer1", "layer2", "layer3", "layer4", *MAPS)
    point_channels = 0  # joined with the backbone's last map
    title = "IOG"
    paper = "Zhang et al., Interactive Object Segmentation With Inside-Outside Guidance, CVPR 2020"
    limits = ("The box must be tight; a box alone takes its center for a point inside.",)

    def __init__(
        self,
        backbone: str = "resnet101",
        in_channels: int = 5,
        pretrained: bool | str | Path = False,
    ) -> None:
        super().__init__()
        self.image_backbone = create_iog_resnet(backbone, in_channels, pretrained)
        channels = self.image_backbone.channels
        self.pooling = PyramidPooling(channels[-1] + self.point_channels)
        self.coarse = CoarseNet([512, *reversed(channels[1:-1])])
        self.fine = FineNet(levels=4)
        self.checkpointing = False

    def forward(self, x: Tensor) -> Output:
        features = self.encode(x)
        return self._decode(features, features["layer4"], x.shape[2:])

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        """Run the backbone on `(B, 5, H, W)`; returns `layer1` to `layer4`."""
        return {f"layer{i}": layer for i, layer in enumerate(self.image_backbone(x)[1:], start=1)}

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute activations of backbone and decoders in the backward pass."""
        self.checkpointing = enable
        self.image_backbone.set_grad_checkpointing(enable)

    def commuting_norms(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Of each coarse head: resizing stands between them, whose weights sum to one."""
        for head in self.coarse.heads:
            yield head.get_submodule("predict"), head.get_submodule("norm")

    def to_upstream_key(self, name: str) -> str:
        module, rest = name.split(".", 1)
        if module in ("coarse", "fine"):
            rest = getattr(self, module).to_upstream_key(rest)
        return f"{_OFFICIAL[module]}.{rest}"

    def upstream_buffers(self) -> dict[str, Tensor]:
        """The authors' first upsampling, which their forward pass never calls.

        It would be a parameter that no gradient reaches, so it is no part of our state. Exported
        files carry zeros in its place.
        """
        conv, norm = conv_norm(WIDTH, WIDTH)
        nn.init.zeros_(conv.weight)
        unused = {"1": conv, "2": norm}
        return {
            f"Coarse_net.upsamples.0.{i}.{name}": value
            for i, module in unused.items()
            for name, value in module.state_dict().items()
        }

    def _decode(self, layers: dict[str, Tensor], top: Tensor, size: Sequence[int]) -> Output:
        pooled = self._run(self.pooling, top)
        maps = [pooled, layers["layer3"], layers["layer2"], layers["layer1"]]
        pyramid, coarse = self._run(self.coarse, maps)
        fine = self._run(self.fine, pyramid)
        quarters = dict(zip(MAPS, [fine, *reversed(coarse)], strict=True))
        masks = [resize_corners(logits, size) for logits in quarters.values()]
        return Output(masks, {**layers, **quarters})

    def _run(self, module: nn.Module, x: Any) -> Any:
        return (
            checkpoint_activations(module, x) if self.checkpointing and self.training else module(x)
        )


class IOGRefine(IOG):
    """IOG that takes further clicks without running its backbone again.

    53.4 M parameters. Called as `IOG`, it makes the first prediction. For each further click::

        features = network.encode(image_and_points)        # (B, 5, H, W), once
        output = network.decode(features, points)          # (B, 2, H, W), all clicks so far

    The click maps, 0..255, enter a second time behind the backbone, through five convolutions.
    """

    point_channels = 64
    title = "IOG with refinement"
    limits = ("The box must be tight; corrections count within it and 30 pixels around.",)

    def __init__(
        self,
        backbone: str = "resnet101",
        in_channels: int = 5,
        pretrained: bool | str | Path = False,
    ) -> None:
        super().__init__(backbone, in_channels, pretrained)
        self.point_encoder = _point_encoder(in_channels - IMAGE_CHANNELS, self.point_channels)

    def forward(self, x: Tensor) -> Output:
        return self.decode(self.encode(x), x[:, IMAGE_CHANNELS:])

    def decode(self, features: dict[str, Tensor], prompt: Tensor) -> Output:
        """Predict from features that `encode` made and the click maps `(B, 2, H, W)`."""
        top = torch.cat([features["layer4"], self._run(self.point_encoder, prompt)], dim=1)
        return self._decode(features, top, prompt.shape[2:])


def _point_encoder(in_channels: int, out_channels: int) -> nn.Sequential:
    """Four strided 3×3 convolutions, to stride 16, and a 1×1 one, each with BatchNorm and ReLU."""
    layers: list[nn.Module] = []
    widths = (in_channels, 64, 128, 256, 256)
    for before, after in pairwise(widths):
        conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, *conv_norm(widths[-1], out_channels), nn.ReLU())
