"""Residual U-blocks, the unit of U²-Net (Qin et al., 2020, section 3.1) and of IS-Net."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.networks.activation_checkpointing import checkpoint_activations
from src.networks.blocks import resize
from src.networks.network import Network


def conv_bn_relu(
    in_channels: int, out_channels: int, *, dilation: int = 1, stride: int = 1
) -> nn.Sequential:
    """3×3 convolution (with bias, as released), BatchNorm, ReLU; keeps the size at stride 1."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def pool(x: Tensor) -> Tensor:
    """Halve the size, rounding up, so that odd maps lose no border."""
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


class RSU(nn.Module):
    """Residual U-block: a `height`-level U-Net added to its own input features.

    `height - 1` encoder units with pooling between them, one dilated unit at the bottom, and a
    mirrored decoder.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int, height: int) -> None:
        super().__init__()
        inner = height - 2
        self.stem = conv_bn_relu(in_channels, out_channels)
        self.down = nn.ModuleList(
            [conv_bn_relu(out_channels, mid_channels)]
            + [conv_bn_relu(mid_channels, mid_channels) for _ in range(inner)]
        )
        self.bottom = conv_bn_relu(mid_channels, mid_channels, dilation=2)
        self.up = nn.ModuleList(  # deepest first, in the order of use
            [conv_bn_relu(2 * mid_channels, mid_channels) for _ in range(inner)]
            + [conv_bn_relu(2 * mid_channels, out_channels)]
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x = self.stem(x)
        skips: list[Tensor] = []
        for unit in self.down:
            x = unit(pool(x) if skips else x)
            skips.append(x)
        x = self.bottom(x)
        for unit in self.up:
            skip = skips.pop()
            x = unit(torch.cat([resize(x, skip), skip], dim=1))
        return x + residual


class DilatedRSU(nn.Module):
    """Residual U-block for coarse maps (RSU-4F): widens its view by dilation, never pools."""

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.stem = conv_bn_relu(in_channels, out_channels)
        self.down = nn.ModuleList(
            [
                conv_bn_relu(out_channels, mid_channels),
                conv_bn_relu(mid_channels, mid_channels, dilation=2),
                conv_bn_relu(mid_channels, mid_channels, dilation=4),
            ]
        )
        self.bottom = conv_bn_relu(mid_channels, mid_channels, dilation=8)
        self.up = nn.ModuleList(
            [
                conv_bn_relu(2 * mid_channels, mid_channels, dilation=4),
                conv_bn_relu(2 * mid_channels, mid_channels, dilation=2),
                conv_bn_relu(2 * mid_channels, out_channels),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x = self.stem(x)
        skips: list[Tensor] = []
        for unit in self.down:
            x = unit(x)
            skips.append(x)
        x = self.bottom(x)
        for unit in self.up:
            x = unit(torch.cat([x, skips.pop()], dim=1))
        return x + residual


def rsu(in_channels: int, mid_channels: int, out_channels: int, height: int | None) -> nn.Module:
    """A residual U-block of a `height`, or the dilated one where `height` is None."""
    if height is None:
        return DilatedRSU(in_channels, mid_channels, out_channels)
    return RSU(in_channels, mid_channels, out_channels, height)


class RSUNetwork(Network):
    """What networks made of residual U-blocks share: stages with pooling or upsampling between."""

    feature_names = ("stage1", "stage2", "stage3", "stage4", "stage5", "stage6")
    checkpointing = False

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute the blocks' activations again in the backward pass instead of keeping them."""
        self.checkpointing = enable

    def encode_stages(self, stages: nn.ModuleList, x: Tensor) -> list[Tensor]:
        """Maps of every stage, finest first, pooled in between."""
        maps: list[Tensor] = []
        for stage in stages:
            x = self._run(stage, pool(x) if maps else x)
            maps.append(x)
        return maps

    def decode_stages(self, stages: nn.ModuleList, encoded: list[Tensor]) -> list[Tensor]:
        """Maps of every decoder stage and the encoder's last, finest first.

        `stages[i]` meets `encoded[i]`: each joins the upsampled coarser map with the encoder's.
        """
        decoded = encoded[-1:]
        for stage, skip in zip(reversed(stages), reversed(encoded[:-1]), strict=True):
            joined = torch.cat([resize(decoded[0], skip), skip], dim=1)
            decoded.insert(0, self._run(stage, joined))
        return decoded

    def _run(self, stage: nn.Module, x: Tensor) -> Tensor:
        return checkpoint_activations(stage, x) if self.checkpointing else stage(x)


def upstream_block_key(name: str, block: nn.Module) -> str:
    """The authors' name of the entry `name` of `block`'s state: `up.0.1.bias` → `…5d.bn_s1.bias`.

    They number the units of a block from its input: 1, 2, … down, the bottom last, and `5d … 1d`
    up again.
    """
    part, *rest = name.split(".")
    units = len(list(block.get_submodule("down").children()))
    if part in ("down", "up"):
        index = int(rest.pop(0))
        unit = str(index + 1) if part == "down" else f"{units - index}d"
    else:
        unit = {"stem": "in", "bottom": str(units + 1)}[part]
    layer, leaf = rest
    return f"rebnconv{unit}.{('conv_s1', 'bn_s1')[int(layer)]}.{leaf}"
