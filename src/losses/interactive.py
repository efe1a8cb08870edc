"""Losses of DEXTR (CVPR 2018) and IOG (CVPR 2020): cross-entropies summed over pixels, with void.

The authors' recipes rely on sums: their learning rate of 1e-8 fits a loss of 10⁴ to 10⁵. Masks
count as foreground from 0.5 on. Everything is computed in fp32, whatever the autocast.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.networks.blocks import at_least_fp32
from src.networks.network import Output

Average = Literal["batch", "pixels", "none"]
AVERAGES = ("batch", "pixels", "none")
MAPS_OF_A_PASS = 5  # IOG: fine, and coarse 4 to 1


class VoidCriterion(Protocol):
    """Compares logits with a mask, leaving out void pixels."""

    def __call__(self, logits: Tensor, mask: Tensor, void: Tensor | None = None) -> Tensor: ...


class SummedCrossEntropy(nn.Module):
    """Binary cross-entropy summed over the pixels that are not void (IOG).

    Args of `forward`: logits, mask and void, `(B, 1, H, W)`; void above 0.5 does not count.

    Args:
        average: Divide the sum by the `batch`, by all its `pixels`, void included, or by nothing.
    """

    def __init__(self, average: Average = "batch") -> None:
        super().__init__()
        self.average = _checked(average)

    def forward(self, logits: Tensor, mask: Tensor, void: Tensor | None = None) -> Tensor:
        losses = _cross_entropy(logits, mask >= 0.5)
        if void is not None:
            losses = losses * (void <= 0.5)
        return losses.sum() / _divisor(logits, self.average)


class BalancedCrossEntropy(nn.Module):
    """Cross-entropy in which each class weighs as much as the other is frequent (DEXTR).

    The frequencies are those of the whole batch. As the authors count them, a void pixel still
    belongs to its class, but not to the total.

    Args of `forward`: logits, mask and void, `(B, 1, H, W)`; void above 0.5 does not count.

    Args:
        average: Divide the sum by the `batch`, by all its `pixels`, void included, or by nothing.
    """

    def __init__(self, average: Average = "batch") -> None:
        super().__init__()
        self.average = _checked(average)

    def forward(self, logits: Tensor, mask: Tensor, void: Tensor | None = None) -> Tensor:
        foreground = mask >= 0.5
        losses = _cross_entropy(logits, foreground)
        positives = foreground.sum().to(losses)
        total = torch.full_like(positives, foreground.numel())
        negatives = total - positives
        if void is not None:
            kept = void <= 0.5
            losses = losses * kept
            total = total - (void >= 0.5).sum()
            # With nothing kept the sums are 0, and 0 of 0 must not become NaN.
            total = torch.where(kept.any(), total, 1)
        on_object = (losses * foreground).sum()
        beside = (losses * ~foreground).sum()
        balanced = negatives / total * on_object + positives / total * beside
        return balanced / _divisor(logits, self.average)


class MapSupervision(nn.Module):
    """Sum of one criterion over all maps of the network: DEXTR has one, IOG five.

    Pixels of `batch["void"]`, where the data has it, do not count. Masks are compared at their
    own size, which the maps must have.
    """

    def __init__(self, criterion: VoidCriterion) -> None:
        super().__init__()
        self.criterion = criterion

    def forward(self, output: Output, batch: Batch) -> Tensor:
        mask, void = batch["mask"], batch.get("void")
        losses = [self.criterion(logits, mask, void) for logits in output.masks]
        return torch.stack(losses).sum()


class RefinementSupervision(nn.Module):
    """IOG's loss over the first prediction and the one after a simulated click.

    `output.masks` holds the five maps of the first pass and then those of the second, as
    `join_passes` puts them. An image that the first pass already solves, by the IoU of its fine
    map, is supervised there alone; the others by the mean of both passes. With the maps of one
    pass, the term is that pass's loss.

    Args:
        solved: The IoU from which on an image counts as solved.
        finest_twice: Count the finest coarse map twice, as the authors' script does.
    """

    def __init__(self, solved: float = 0.95, finest_twice: bool = False) -> None:
        super().__init__()
        self.solved, self.finest_twice = solved, finest_twice

    def forward(self, output: Output, batch: Batch) -> Tensor:
        mask, void = batch["mask"], batch.get("void")
        passes = _split_passes(output.masks)
        losses = torch.stack([self._per_image(maps, mask, void) for maps in passes])
        solved = iou(passes[0][0], mask, void) >= self.solved
        return torch.where(solved, losses[0], losses.mean(dim=0)).mean()

    def _per_image(self, maps: Sequence[Tensor], mask: Tensor, void: Tensor | None) -> Tensor:
        counted = [*maps, maps[1]] if self.finest_twice else maps
        losses = torch.stack([_cross_entropy(logits, mask >= 0.5) for logits in counted]).sum(dim=0)
        if void is not None:
            losses = losses * (void <= 0.5)
        return losses.sum(dim=(1, 2, 3))


def join_passes(passes: Sequence[Output]) -> Output:
    """The maps of several passes, first pass first, as one output for `RefinementSupervision`.

    Features are those of the last pass.
    """
    return Output([logits for output in passes for logits in output.masks], passes[-1].features)


def iou(logits: Tensor, mask: Tensor, void: Tensor | None = None) -> Tensor:
    """Intersection over union of each image at a probability of 0.5, `(B,)`, without void.

    Where prediction and mask are both empty it is 1.
    """
    predicted, foreground = logits > 0, mask >= 0.5
    kept = torch.ones_like(foreground) if void is None else void <= 0.5
    common = (predicted & foreground & kept).sum(dim=(1, 2, 3))
    covered = ((predicted | foreground) & kept).sum(dim=(1, 2, 3))
    return torch.where(covered > 0, common / covered.clamp(min=1), 1.0)


def _split_passes(masks: Sequence[Tensor]) -> list[Sequence[Tensor]]:
    count = MAPS_OF_A_PASS
    if not masks or len(masks) % count:
        raise ValueError(
            f"losses: {len(masks)} maps are no whole number of passes of {count}; "
            "join_passes makes the output of several"
        )
    return [masks[start : start + count] for start in range(0, len(masks), count)]


def _cross_entropy(logits: Tensor, foreground: Tensor) -> Tensor:
    logits = at_least_fp32(logits)
    return F.binary_cross_entropy_with_logits(logits, foreground.to(logits), reduction="none")


def _divisor(logits: Tensor, average: Average) -> int:
    return {"batch": len(logits), "pixels": logits.numel(), "none": 1}[average]


def _checked(average: Average) -> Average:
    if average not in AVERAGES:
        raise ValueError(f"average is {average!r}; choose of {', '.join(AVERAGES)}")
    return average
