"""Loss terms, `term(output, batch)`, and the criteria in them that compare two maps, in fp32."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.networks.network import Network, Output

Distance = Literal["mse", "kl", "l1", "smooth_l1"]


class BinaryCrossEntropy(nn.Module):
    """Mean binary cross-entropy of logits and a soft mask, both `(B, 1, H, W)`.

    Equals the authors' BCE on probabilities, without its overflow: where a probability rounds to
    0 or 1 the gradient still flows.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), mask.float())


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

    Maps smaller than the mask are compared with the mask resized to them (bilinear,
    `align_corners=True`, the one place where IS-Net's authors use it).

    Args:
        weights: One for each map the network returns; another count is an error.
    """

    def __init__(self, criterion: nn.Module, weights: Sequence[float]) -> None:
        super().__init__()
        self.criterion = criterion
        self.weights = list(weights)

    def forward(self, output: Output, batch: Batch) -> Tensor:
        if len(output.masks) != len(self.weights):
            raise ValueError(
                f"losses: {len(self.weights)} weights for {len(output.masks)} maps of the network"
            )
        mask = batch["mask"]
        loss = mask.new_zeros((), dtype=torch.float32)
        for weight, logits in zip(self.weights, output.masks, strict=True):
            loss = loss + weight * self.criterion(logits, _resize_mask(mask, logits))
        return loss


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
        distance: Distance = "mse",
        batch_statistics: bool = False,
    ) -> None:
        super().__init__()
        if distance not in DISTANCES:
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


def _resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    if mask.shape[2:] == like.shape[2:]:
        return mask
    return F.interpolate(mask, like.shape[2:], mode="bilinear", align_corners=True)
