"""Loss terms, `term(output, batch)`, and the criteria in them that compare two maps, in fp32."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.networks.blocks import at_least_fp32, resize_corners
from src.networks.network import Network, Output

Distance = Literal["mse", "kl", "l1", "smooth_l1"]


class BinaryCrossEntropy(nn.Module):
    """Mean binary cross-entropy of logits and a soft mask, both `(B, 1, H, W)`.

    Equals the authors' BCE on probabilities, without its overflow: where a probability rounds to
    0 or 1 the gradient still flows.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(at_least_fp32(logits), at_least_fp32(mask))


class ChannelKL(nn.Module):
    """KL divergence between channel distributions, averaged over all elements (IS-Net's option).

    Args of `forward`: the student's features and the teacher's, both `(B, C, H, W)`.
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        log_student, of_teacher = student.float().log_softmax(1), teacher.float().softmax(1)
        divergence = F.kl_div(log_student, of_teacher, reduction="none")
        return divergence.mean()


DISTANCES: dict[str, type[nn.Module]] = {
    "mse": nn.MSELoss,
    "kl": ChannelKL,
    "l1": nn.L1Loss,
    "smooth_l1": nn.SmoothL1Loss,
}


class DeepSupervision(nn.Module):
    """Weighted sum of one criterion over the network's maps, finest first.

    Maps smaller than the mask are compared at one of both sizes; either is resized bilinearly,
    `align_corners=True`, as IS-Net's authors resize the mask and BiRefNet's the maps.

    Args:
        criterion: Compares logits and a mask of one size.
        weights: One for each map the network returns; another count is an error.
        compare_at: `map`: the mask is brought to the map's size; `mask`: the map to the mask's.
    """

    def __init__(
        self,
        criterion: nn.Module,
        weights: Sequence[float],
        compare_at: Literal["map", "mask"] = "map",
    ) -> None:
        super().__init__()
        if compare_at not in ("map", "mask"):
            raise ValueError(f"losses: compare_at is {compare_at!r}; choose map or mask")
        self.criterion = criterion
        self.weights = list(weights)
        self.compare_at = compare_at

    def forward(self, output: Output, batch: Batch) -> Tensor:
        if len(output.masks) != len(self.weights):
            raise ValueError(
                f"losses: {len(self.weights)} weights for {len(output.masks)} maps of the network"
            )
        mask = batch["mask"]
        loss = mask.new_zeros((), dtype=torch.float32)
        for weight, logits in zip(self.weights, output.masks, strict=True):
            if self.compare_at == "map":
                pair = logits, _resized(mask, logits)
            else:
                pair = _resized(at_least_fp32(logits), mask), mask
            loss = loss + weight * self.criterion(*pair)
        return loss


class Late(nn.Module):
    """A term whose weight changes in the last epochs.

    BiRefNet switches its cross-entropy off so (factor 0) and halves its IoU again and again.

    Args:
        term: The term.
        factor: The weight in the first late epoch.
        epochs: How many epochs are late; 0: none.
        compound: Each further one multiplies the weight by the factor once more; else it stays.
        before: The weight until then.
    """

    def __init__(
        self,
        term: nn.Module,
        factor: float,
        epochs: int,
        compound: bool = True,
        before: float = 1.0,
    ) -> None:
        super().__init__()
        if min(factor, epochs, before) < 0:
            raise ValueError(
                f"losses: factor {factor}, epochs {epochs} and the weight before, {before}, must"
                " not be negative"
            )
        self.term, self.factor, self.epochs = term, float(factor), epochs
        self.compound, self.before = compound, float(before)
        self.weight = self.before

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set the weight for an epoch, counted from 0, of a training of so many.

        It depends on these numbers alone, so that a run that goes on needs no memory of it.

        Raises:
            ValueError: Training has no last epoch.
        """
        if self.epochs and epochs < 1:
            raise ValueError("losses: late epochs need a last one; set model.epochs")
        late = max(0, epoch + 1 - (epochs - self.epochs))
        power = late if self.compound else min(late, 1)
        self.weight = self.factor**power if late else self.before

    def forward(self, output: Output, batch: Batch) -> Tensor:
        if self.weight == 0:  # 0 times an infinite loss would be no number
            return batch["mask"].new_zeros((), dtype=torch.float32)
        loss: Tensor = self.term(output, batch)
        return self.weight * loss


def late_terms(
    terms: Mapping[str, nn.Module],
    epochs: int,
    weights: Mapping[str, Sequence[float]],
    compound: bool = False,
) -> dict[str, nn.Module]:
    """Loss terms of which some change in the last epochs, whatever the model's recipe says of them.

    Args:
        terms: By name.
        epochs: How many are late.
        weights: Of terms by name, before and in the late epochs.
        compound: See `Late`.
    """
    changed = dict(terms)
    for name, (before, factor) in weights.items():
        if name in terms:  # else it is switched off
            term = terms[name]
            own = term.term if isinstance(term, Late) else term
            changed[name] = Late(own, factor, epochs, compound, before)
    return changed


class FeatureSupervision(nn.Module):
    """Pulls features towards those that a frozen teacher sees in the true mask (IS-Net, eq. 5).

    The teacher is no submodule: it is not saved in checkpoints, not wrapped by DDP and not found
    by `parameters()`; it follows the term from device to device.

    Args:
        teacher: Takes `(B, 1, H, W)` masks and returns an `Output` with the same feature names; a
            trained network, which is frozen here.
        distance: How two features are compared.
        batch_statistics: Let the teacher normalize by the batch at hand, as the authors' script
            does, which never calls `eval()` on it. Off by default: its target then depends on the
            other images of the batch.
    """

    teacher: Network

    def __init__(
        self,
        teacher: Network,
        distance: Distance | None = "mse",
        batch_statistics: bool = False,
    ) -> None:
        super().__init__()
        if distance is None or distance not in DISTANCES:  # None builds no term at all
            raise ValueError(
                f"model.feature_supervision is {distance!r}; choose null, {', '.join(DISTANCES)}"
            )
        teacher.requires_grad_(False).train(batch_statistics)
        object.__setattr__(self, "teacher", teacher)
        self.criterion = DISTANCES[distance]()

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        self.teacher._apply(fn)
        return super()._apply(fn, recurse)

    def forward(self, output: Output, batch: Batch) -> Tensor:
        with torch.no_grad():
            targets = self.teacher(batch["mask"]).features
        with torch.autocast(batch["mask"].device.type, enabled=False):
            distances = [
                self.criterion(output.features[name].float(), target.float())
                for name, target in targets.items()
            ]
        return torch.stack(distances).sum()


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return x if x.shape[2:] == like.shape[2:] else resize_corners(x, like)
