"""Lets BatchNorm train where a channel has a single value, as in a batch of one.

The variance of one value is zero: normalised by its batch it would become the norm's offset,
whatever it was, and PyTorch refuses it. Pyramid pooling has such a place for one image (the mean of
the whole map, 1×1; DEXTR, IOG), and so has the last stage of any network on a small enough image.
There the norm uses its running statistics in that forward pass, as it will when the network is
used, and does not update them. In a run whose every batch is a single image they stay what they
were: those of the weights that it started from, or 0 and 1, so that this norm is the scale and the
shift that it learns.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, which normalises single values by its running statistics."""

    def forward(self, input: Tensor) -> Tensor:
        single = input.numel() == input.shape[1]
        if not (self.training and single and self.running_mean is not None):
            return super().forward(input)
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def allow_single_values(network: nn.Module) -> nn.Module:
    """Give a network's BatchNorms that rule, in place: theirs and those of its backbone."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = BatchNorm  # its state, and who else holds it, stay as they are
    return network
