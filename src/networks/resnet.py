"""ResNets as DEXTR and IOG use them: more input channels, and finer maps by dilation.

Built on `backbone.py`, so that pretrained weights, local files and activation checkpointing work
as for every backbone. ResNet-101 is the papers'; the smaller ones make training on a CPU possible.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from torch import nn

from src.networks.backbone import ResNetBackbone, build_backbone

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def create_resnet(
    name: str, in_channels: int = 3, pretrained: bool | str | Path = False
) -> ResNetBackbone:
    """A ResNet (He et al., CVPR 2016) whose maps have the strides 4, 4, 8, 16 and 32.

    With ImageNet weights the first three input channels, the image, keep theirs and the others,
    the clicks, start at random. (The authors of DEXTR meant the same, but their loader leaves the
    whole first convolution random.)

    Args:
        in_channels: Of the input; more than 3 for an image joined with prompts.
        pretrained: As in `build_backbone`.

    Raises:
        ValueError: A name that is not one of `RESNETS`, whose blocks can be edited safely.
    """
    if name not in RESNETS:
        raise ValueError(f"backbone {name!r} cannot be dilated; choose of {', '.join(RESNETS)}")
    resnet = cast(ResNetBackbone, build_backbone(name, pretrained))
    if pretrained is False:
        # timm starts the last scale of a block at 0. DEXTR freezes scales: its blocks would stay
        # switched off for ever.
        for norm in _norms(resnet):
            nn.init.ones_(norm.weight)
    if in_channels != 3:
        resnet.conv1 = _widened(resnet.conv1, in_channels)
    return resnet


def create_dextr_resnet(
    name: str, in_channels: int, pretrained: bool | str | Path = False
) -> ResNetBackbone:
    """Output stride 8: stages 3 and 4 are dilated by 2 and 4 instead of strided.

    The stride of a bottleneck sits in its first 1×1 convolution, as in Caffe's ResNet. Scales and
    offsets of all BatchNorms are frozen; they still normalize by the batch in training mode.
    """
    resnet = create_resnet(name, in_channels, pretrained)
    _stride_in_first_convolution(resnet)
    _dilate(resnet.layer3, [2] * len(resnet.layer3))
    _dilate(resnet.layer4, [4] * len(resnet.layer4))
    resnet.reductions = (4, 4, 8, 8, 8)
    for norm in _norms(resnet):
        norm.requires_grad_(False)
    return resnet


def create_iog_resnet(
    name: str, in_channels: int, pretrained: bool | str | Path = False
) -> ResNetBackbone:
    """Output stride 16: the blocks of stage 4 are dilated by 2, 4 and 8 (a multi-grid).

    The stride of a bottleneck sits in its 3×3 convolution.
    """
    resnet = create_resnet(name, in_channels, pretrained)
    _dilate(resnet.layer4, [2 * 2**i for i in range(len(resnet.layer4))])
    resnet.reductions = (4, 4, 8, 16, 16)
    return resnet


def _norms(resnet: nn.Module) -> Iterable[nn.BatchNorm2d]:
    return (module for module in resnet.modules() if isinstance(module, nn.BatchNorm2d))


def _widened(conv: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """A convolution for more channels that treats the first ones as `conv` does."""
    wide = nn.Conv2d(in_channels, conv.out_channels, 7, stride=2, padding=3, bias=False)
    wide.weight.data[:, : conv.in_channels] = conv.weight.data
    return wide


def _stride_in_first_convolution(resnet: ResNetBackbone) -> None:
    for layer in (resnet.layer2, resnet.layer3, resnet.layer4):
        block = layer[0]
        conv1, conv2 = cast(nn.Conv2d, block.conv1), cast(nn.Conv2d, block.conv2)
        if conv1.stride == (1, 1):  # a basic block has its stride there already
            conv1.stride, conv2.stride = conv2.stride, (1, 1)


def _dilate(layer: nn.Sequential, dilations: Sequence[int]) -> None:
    """Take the stride out of a stage and widen its 3×3 convolutions, one dilation per block."""
    for block, dilation in zip(layer, dilations, strict=True):
        for module in block.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
                if module.kernel_size == (3, 3):
                    module.dilation = module.padding = (dilation, dilation)
