"""InSPyReNet's loss (Kim et al., ACCV 2022, https://arxiv.org/abs/2209.09475, section 3.3).

Its whole is the sum of two terms: `PyramidSupervision`, which compares every level of the pyramid
with the mask reduced to it, and `PyramidConsistency`, which keeps the levels one pyramid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.networks.blocks import at_least_fp32, without_autocast
from src.networks.network import Output
from src.networks.pyramid import ImagePyramid

_WINDOW = 31
# Where a probability would round to 0 or 1 its logarithm is cut at -100, as the authors' is.
_LARGEST_LOGIT = 100.0


class WeightedBCE(nn.Module):
    """Mean cross-entropy of logits and a soft mask, both `(B, 1, H, W)`, edges counting more.

    A pixel weighs 1 + `edge_weight` · |average of the mask around it - mask|, the average over
    31×31 pixels with zeros beyond the border (Wei et al., F³Net, AAAI 2020).
    """

    def __init__(self, edge_weight: float = 5.0) -> None:
        super().__init__()
        self.edge_weight = edge_weight

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        around = F.avg_pool2d(mask, _WINDOW, stride=1, padding=_WINDOW // 2)
        weight = 1 + self.edge_weight * (around - mask).abs()
        logits = logits.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
        loss = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
        return (weight * loss).mean()


class PixelIoU(nn.Module):
    """Mean of 1 - soft intersection over union of every single pixel, smoothed by 1.

    Takes logits and a soft mask, both `(B, 1, H, W)`.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        probability = logits.sigmoid()
        intersection = probability * mask
        union = probability + mask - intersection
        return (1 - (intersection + 1) / (union + 1)).mean()


class PyramidSupervision(nn.Module):
    """Weighted cross-entropy and IoU of every level, summed over the levels.

    The mask is reduced through the image pyramid to a soft mask for each level; both are compared
    at full size after nearest-neighbor resizing.

    Args:
        edge_weight: Of `WeightedBCE`.
    """

    def __init__(self, edge_weight: float = 5.0) -> None:
        super().__init__()
        self.pyramid = ImagePyramid()
        self.criteria = nn.ModuleList([WeightedBCE(edge_weight), PixelIoU()])

    def forward(self, output: Output, batch: Batch) -> Tensor:
        return torch.stack([torch.stack(level).sum() for level in self.levels(output, batch)]).sum()

    def levels(self, output: Output, batch: Batch) -> list[list[Tensor]]:
        """Cross-entropy and IoU of each level, finest first."""
        mask = at_least_fp32(batch["mask"])
        size, levels = mask.shape[2:], []
        with without_autocast(mask):
            for logits, target in zip(output.masks, self._targets(mask, output), strict=True):
                pair = [_grow(x, size) for x in (at_least_fp32(logits), target)]
                levels.append([criterion(*pair) for criterion in self.criteria])
        return levels

    def _targets(self, mask: Tensor, output: Output) -> list[Tensor]:
        targets = [mask]
        while len(targets) < len(output.masks):
            targets.append(self.pyramid.reduce(targets[-1]))
        return targets


class PyramidConsistency(nn.Module):
    """Mean distance of every level from the reduced next finer one, which gets no gradient.

    Args:
        weight: The distances, between logits, are large; the paper's is 1e-4.
    """

    def __init__(self, weight: float = 1e-4) -> None:
        super().__init__()
        self.weight = weight
        self.pyramid = ImagePyramid()

    def forward(self, output: Output, batch: Batch) -> Tensor:
        return self.weight * torch.stack(self.distances(output)).sum()

    def distances(self, output: Output) -> list[Tensor]:
        """Unweighted, of levels 1, 2, 3 from the finer one."""
        finer_and_coarser = zip(output.masks[:-1], output.masks[1:], strict=True)
        with without_autocast(output.masks[0]):
            return [
                F.l1_loss(at_least_fp32(coarser), self.pyramid.reduce(finer.detach()))
                for finer, coarser in finer_and_coarser
            ]


def _grow(x: Tensor, size: torch.Size) -> Tensor:
    return x if x.shape[2:] == size else F.interpolate(x, size, mode="nearest")
