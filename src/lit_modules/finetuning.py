"""Fine-tuning: trained weights go on learning, but slowly, so that they forget little."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from src.errors import UserError

from .parameter_groups import NORMS, freeze_norms


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning changes of a model's own recipe, whatever its optimiser and its groups.

    Args:
        lr_factor: On every learning rate of the recipe.
        backbone_factor: Once more on those of the backbone, in networks that have one.
        freeze_norms: Hold the normalisation layers: neither their scales nor their running
            statistics move, and training normalises by the latter. What trains is then the very
            network that was scored before it, and small batches do no harm.
        replay: Share of an epoch's images that are from the base data, where there is any.

    Raises:
        UserError: A factor or a share that cannot be.
    """

    lr_factor: float = 0.1
    backbone_factor: float = 0.1
    freeze_norms: bool = True
    replay: float = 0.2

    def __post_init__(self) -> None:
        if self.lr_factor <= 0 or self.backbone_factor < 0:
            raise UserError(
                f"finetune.lr_factor is {self.lr_factor} and finetune.backbone_factor"
                f" {self.backbone_factor}: the first must be above 0, the second not below it"
            )
        if not 0 <= self.replay < 1:
            raise UserError(
                f"finetune.replay is {self.replay}; it is a share, at least 0 and below 1"
            )

    def prepare(self, network: nn.Module) -> None:
        """Hold what does not learn; again after each `network.train()`, which lets it go."""
        if self.freeze_norms:
            freeze_norms(network)
            for layer in network.modules():
                if isinstance(layer, NORMS):
                    layer.eval()

    def slow_down(self, optimizer: Optimizer, network: nn.Module) -> None:
        """Scale the learning rates of an optimiser over parameters of `network`, in place."""
        backbone = {
            id(parameter) for name, parameter in network.named_parameters() if "backbone" in name
        }
        optimizer.param_groups[:] = [
            part for group in optimizer.param_groups for part in self._slower(group, backbone)
        ]

    def _slower(self, group: dict[str, Any], backbone: set[int]) -> Iterator[dict[str, Any]]:
        """The group, divided where it holds parameters of the backbone and others."""
        inside = [p for p in group["params"] if id(p) in backbone]
        outside = [p for p in group["params"] if id(p) not in backbone]
        rate = group["lr"] * self.lr_factor
        for parameters, lr in ((inside, rate * self.backbone_factor), (outside, rate)):
            if parameters:
                yield {**group, "params": parameters, "lr": lr}
