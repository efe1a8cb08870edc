"""Which parameters learn, and how fast, by rules on their names."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def parameter_groups(
    module: nn.Module,
    lr: float,
    rules: Mapping[str, float] | None = None,
    rest: float = 1.0,
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """Split the parameters of `module` that learn into groups for an optimizer.

    `parameter_groups(net, 1e-5, {"backbone": 1}, rest=10)` is InSPyReNet's: the backbone learns at
    1e-5, everything else at 1e-4. Parameters without `requires_grad` are left out.

    Args:
        rules: Factor on `lr` for parameters whose name contains a fragment; the first that fits
            counts. A factor of 0 leaves its parameters out and freezes them.
        rest: Factor for parameters that no rule fits.

    Returns:
        A group per rule and one called `rest`, each with `name`, `params`, `lr`, `weight_decay`.

    Raises:
        ValueError: A rule fits no parameter at all, or nothing is left to learn.
    """
    factors = {**(rules or {}), _REST: rest}
    if negative := {name: factor for name, factor in factors.items() if factor < 0}:
        raise ValueError(f"learning rate factors must not be negative: {negative}")
    groups: list[dict[str, Any]] = []
    for fragment, parameters in _members(module, list(factors)).items():
        factor = factors[fragment]
        if factor == 0:
            for parameter in parameters:
                parameter.requires_grad_(False)
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        if learning:
            settings = {"lr": lr * factor, "weight_decay": weight_decay}
            groups.append({"name": fragment, "params": learning, **settings})
    if not groups:
        raise ValueError("every parameter is frozen; nothing is left to learn")
    return groups


def _members(module: nn.Module, fragments: list[str]) -> dict[str, list[nn.Parameter]]:
    """The parameters that each fragment's rule is for, those of no rule under `rest`."""
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
    """Stop scales and offsets of all normalisation layers from learning (DEXTR, IOG).

    Running statistics are not touched: like the authors' networks, a BatchNorm in training mode
    still normalises by its batch and still follows it.
    """
    for layer in module.modules():
        if isinstance(layer, NORMS):
            layer.requires_grad_(False)


_REST = "rest"
