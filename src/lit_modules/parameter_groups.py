"""Which parameters learn, and how fast: factors by name, and fine-tuning of trained weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from src.errors import UserError

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)
_REST = "rest"


def parameter_groups(module: nn.Module, factors: Mapping[str, float]) -> list[dict[str, Any]]:
    """Split the parameters of `module` that learn into groups for an optimizer.

    `{"backbone": 1, "rest": 10}` is InSPyReNet's: everything learns ten times as fast as the
    backbone. Parameters without `requires_grad` are left out. Factors go on the optimizer's own
    learning rate, see `scale_rates`.

    Args:
        factors: Factor for parameters whose name contains a fragment; the first that fits counts.
            `rest` is for parameters that no other fits, 1 unless given. A factor of 0 leaves its
            parameters out and freezes them.

    Returns:
        A group for each fragment and, last, one called `rest`; each with `name` and `params`.

    Raises:
        ValueError: A fragment fits no parameter at all, or nothing is left to learn.
    """
    rest = factors.get(_REST, 1.0)
    factors = {**{name: factors[name] for name in factors if name != _REST}, _REST: rest}
    if negative := {name: factor for name, factor in factors.items() if factor < 0}:
        raise ValueError(f"learning rate factors must not be negative: {negative}")
    groups: list[dict[str, Any]] = []
    for fragment, parameters in _members(module, list(factors)).items():
        if factors[fragment] == 0:
            for parameter in parameters:
                parameter.requires_grad_(False)
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        if learning:
            groups.append({"name": fragment, "params": learning})
    if not groups:
        raise ValueError("every parameter is frozen; nothing is left to learn")
    return groups


def scale_rates(optimizer: Optimizer, factors: Mapping[str, float]) -> None:
    """Multiply the learning rates of an optimizer over `parameter_groups`, in place."""
    for group in optimizer.param_groups:
        group["lr"] *= factors.get(group["name"], 1.0)


def _members(module: nn.Module, fragments: list[str]) -> dict[str, list[nn.Parameter]]:
    """The parameters that each fragment fits, those of no other under `rest`."""
    members: dict[str, list[nn.Parameter]] = {fragment: [] for fragment in fragments}
    for name, parameter in module.named_parameters():
        members[next((f for f in fragments if f in name and f != _REST), _REST)].append(parameter)
    if unused := [fragment for fragment in members if fragment != _REST and not members[fragment]]:
        raise ValueError(
            f"no parameter's name contains {unused}; names look like "
            f"{[name for name, _ in module.named_parameters()][:3]}"
        )
    return members


def freeze_norms(module: nn.Module) -> None:
    """Stop scales and offsets of all normalization layers from learning (DEXTR, IOG).

    Running statistics are not touched: like the authors' networks, a BatchNorm in training mode
    still normalizes by its batch and still follows it.
    """
    for layer in module.modules():
        if isinstance(layer, NORMS):
            layer.requires_grad_(False)


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning changes of a model's own recipe, whatever its optimizer and its groups.

    Args:
        lr_factor: On every learning rate of the recipe.
        backbone_factor: Once more on those of the backbone, in networks that have one.
        freeze_norms: Hold the normalization layers: neither their scales nor their running
            statistics move, and training normalizes by the latter. What trains is then the very
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
        """Scale the learning rates of an optimizer over parameters of `network`, in place."""
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
