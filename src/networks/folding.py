"""Makes a trained network faster to run, without changing what it computes.

A BatchNorm that no longer learns is a scale and a shift per channel, which the convolution before
it can do itself. Maps lie in memory with their channels together (`channels_last`), which is how
convolutions read them fastest, on CPUs as on GPUs.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Place = tuple[nn.Module, str]


def fold(network: nn.Module) -> nn.Module:
    """Fold every BatchNorm of an evaluated network into its convolution, in place.

    What the network answers stays the same up to rounding; it cannot be trained any more, nor
    loaded from or saved as a checkpoint.

    Raises:
        ValueError: The network is in training mode.
    """
    if network.training:
        raise ValueError("fold: the network is in training mode; call eval() first")
    for conv, (parent, name) in list(_pairs(network)):
        norm = getattr(parent, name)
        weight, bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        conv.weight, conv.bias = weight, bias
        setattr(parent, name, nn.Identity())
    return network.to(memory_format=torch.channels_last)


def _pairs(module: nn.Module) -> Iterator[tuple[nn.Conv2d, Place]]:
    """Convolutions and the place of the BatchNorm that follows each.

    Modules are registered in the order of their use: a norm belongs to the convolution before it.
    Res2Net keeps the convolutions of a block in one list and their norms in the next.
    """
    children = list(module.named_children())
    for (_, first), (name, second) in pairwise(children):
        if isinstance(first, nn.Sequential):  # a deep stem ends in a convolution
            first = first[-1]
        if isinstance(first, nn.Conv2d) and _fits(first, second):
            yield first, (module, name)
        elif isinstance(first, nn.ModuleList) and isinstance(second, nn.ModuleList):
            lists = zip(first, second.named_children(), strict=False)
            for conv, (place, norm) in lists:
                if isinstance(conv, nn.Conv2d) and _fits(conv, norm):
                    yield conv, (second, place)
    for child in module.children():
        yield from _pairs(child)


def _fits(conv: nn.Conv2d, norm: nn.Module) -> bool:
    return isinstance(norm, nn.BatchNorm2d) and norm.num_features == conv.out_channels
