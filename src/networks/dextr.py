"""DEXTR: Deep Extreme Cut (Maninis et al., CVPR 2018, https://arxiv.org/abs/1711.09081)."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from src.networks.blocks import PyramidPooling, resize_corners
from src.networks.network import Network, Output
from src.networks.resnet import create_dextr_resnet

Head = Literal["psp", "atrous"]


class PSPHead(nn.Module):
    """Pyramid pooling and a 1×1 convolution to logits."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.pooling = PyramidPooling(in_channels)
        self.logits = nn.Conv2d(512, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(self.pooling(x))

    @staticmethod
    def to_upstream_key(name: str) -> str:
        return name.replace("pooling.", "").replace("logits.", "final.")


class AtrousHead(nn.Module):
    """Sum of four dilated 3×3 convolutions to logits (DeepLab-v2)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, 1, 3, padding=rate, dilation=rate) for rate in (6, 12, 18, 24)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([conv(x) for conv in self.convs]).sum(dim=0)

    @staticmethod
    def to_upstream_key(name: str) -> str:
        return name.replace("convs.", "conv2d_list.")


HEADS: dict[str, type[PSPHead] | type[AtrousHead]] = {"psp": PSPHead, "atrous": AtrousHead}


class DEXTR(Network):
    """Segments the object whose four extreme points are drawn in the fourth input channel.

    48.8 M parameters, 42.6 M with the atrous head. Input `(B, 4, H, W)`: image and heat map, both
    0..255. `masks` is one map at input size; `features` holds `layer1` (stride 4), `layer2` to
    `layer4` (stride 8) and `logits`, the prediction at stride 8 that `masks` enlarges.

    The BatchNorms of the backbone have frozen scales and offsets; those of the head learn.

    Args:
        backbone: One of `RESNETS`.
        head: `psp` in the paper and its released models, or `atrous`.
        in_channels: 3 for the image, the rest for prompts.
        pretrained: ImageNet weights of the backbone, see `build_backbone`.
    """

    feature_names = ("layer1", "layer2", "layer3", "layer4", "logits")
    title = "DEXTR"
    paper = "Maninis et al., Deep Extreme Cut, CVPR 2018"
    limits = ("Points that are not extreme cut the object off: nothing outside survives.",)

    def __init__(
        self,
        backbone: str = "resnet101",
        head: Head = "psp",
        in_channels: int = 4,
        pretrained: bool | str | Path = False,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"DEXTR has no head {head!r}; choose of {', '.join(HEADS)}")
        self.backbone = create_dextr_resnet(backbone, in_channels, pretrained)
        self.head = HEADS[head](self.backbone.channels[-1])

    def forward(self, x: Tensor) -> Output:
        maps = self.backbone(x)[1:]
        logits = self.head(maps[-1])
        layers = {f"layer{i}": feature for i, feature in enumerate(maps, start=1)}
        return Output([resize_corners(logits, x)], {**layers, "logits": logits})

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute the backbone's activations in the backward pass instead of keeping them."""
        self.backbone.set_grad_checkpointing(enable)

    def to_upstream_key(self, name: str) -> str:
        if name.startswith("head."):
            return f"layer5.{self.head.to_upstream_key(name.removeprefix('head.'))}"
        return name.removeprefix("backbone.")
