"""Loads and writes checkpoints under their authors' parameter names, strictly.

Each network answers `official_name(ours) -> theirs` for every entry of its state, and may give
`official_constants()`, entries of the released files that are computed rather than learned.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from src.errors import UserError

from .catalogue import create
from .registry import RegistryError, resolve

log = logging.getLogger(__name__)

StateDict = Mapping[str, Tensor]

# Wrappers that training code leaves in front of the network's own names.
_PREFIX = re.compile(r"^(?:module\.|model\.|network\.|_orig_mod\.)+")
_NESTS = ("state_dict", "model_state_dict", "model", "net")
_SHOWN = 5


class WeightsError(UserError):
    """A checkpoint that does not fit the network, or cannot be read."""


class Report(NamedTuple):
    """What a strict load found; `str()` is the two lines a user sees."""

    source: str
    matched: int
    total: int
    missing: list[str]
    unexpected: list[str]

    def __str__(self) -> str:
        return (
            f"weights from {self.source}: {self.matched} of {self.total} entries loaded\n"
            f"missing {len(self.missing)}, unexpected {len(self.unexpected)}"
        )


def build(name: str, checkpoint: str | Path | None = None, **arguments: Any) -> nn.Module:
    """A network of the catalogue in evaluation mode, with a checkpoint's weights if one is given.

    `checkpoint` is the path of a released file or of one of ours, or a name of the registry.
    """
    network = create(name, **arguments).eval()
    if checkpoint is not None:
        load_official(network, checkpoint)
    return network


def load_official(
    network: nn.Module, weights: StateDict | str | Path, *, allow_partial: bool = False
) -> Report:
    """Copy weights under official (or our own) names into `network`.

    Raises WeightsError that lists the first missing, unexpected and misshapen entries, unless
    `allow_partial`, which loads what fits and says what did not.
    """
    source = "the given state dict" if isinstance(weights, Mapping) else str(weights)
    state = strip_wrappers(weights if isinstance(weights, Mapping) else read_state(weights))
    ours = network.state_dict()
    theirs = _translate(network, ours, state)
    misshapen = [
        f"{key}: checkpoint {tuple(state[theirs[key]].shape)}, network {tuple(value.shape)}"
        for key, value in ours.items()
        if theirs[key] in state and state[theirs[key]].shape != value.shape
    ]
    # Releases older than PyTorch 0.4.1 have no batch counters; nothing is computed from them.
    missing = [
        key for key in ours if theirs[key] not in state and not key.endswith("num_batches_tracked")
    ]
    known = set(theirs.values()) | set(official_constants(network))
    unexpected = [key for key in state if key not in known]
    if (missing or unexpected or misshapen) and not allow_partial:
        raise WeightsError(_mismatch(network, source, missing, unexpected, misshapen))
    wrong = {entry.split(":", 1)[0] for entry in misshapen}
    fitting = {key: state[theirs[key]] for key in ours if theirs[key] in state and key not in wrong}
    network.load_state_dict({**ours, **fitting})
    report = Report(source, len(fitting), len(ours), missing, unexpected)
    log.info("%s", report)
    return report


def to_official(network: nn.Module) -> dict[str, Tensor]:
    """The state of `network` under its authors' names, constants included."""
    state = {official_name(network, key): value for key, value in network.state_dict().items()}
    return {**state, **official_constants(network)}


def read_state(path: str | Path) -> StateDict:
    """Read a checkpoint, given its path or its name in the registry, which downloads it.

    Only tensors and plain values: nothing in it can execute code.
    """
    try:
        path = resolve(path)
    except RegistryError as error:
        raise WeightsError(str(error)) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch raise a dozen kinds
        raise WeightsError(
            f"{path}: not a readable checkpoint ({str(error).splitlines()[0]}); "
            "download it again, or save it with torch.save(state_dict)"
        ) from error


def strip_wrappers(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The bare state dict inside `state_dict`-like nests and `module.`-like prefixes."""
    for nest in _NESTS:
        if isinstance(inner := checkpoint.get(nest), Mapping):
            return strip_wrappers(inner)
    tensors = {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError("the checkpoint holds no tensors; is it a state dict?")
    return {_PREFIX.sub("", key): value for key, value in tensors.items()}


def official_name(network: nn.Module, name: str) -> str:
    renames = getattr(network, "official_name", None)
    return renames(name) if renames else name


def official_constants(network: nn.Module) -> dict[str, Tensor]:
    constants = getattr(network, "official_constants", None)
    return constants() if constants else {}


def _translate(network: nn.Module, ours: StateDict, state: StateDict) -> dict[str, str]:
    """The key of `state` for each of ours: our own where the file is ours, else the authors'."""
    theirs = {key: official_name(network, key) for key in ours}
    # Some names are the same in both: the naming that matches more entries is the file's.
    if sum(key in state for key in ours) > sum(key in state for key in theirs.values()):
        return {key: key for key in ours}
    return theirs


def _mismatch(
    network: nn.Module,
    source: str,
    missing: list[str],
    unexpected: list[str],
    misshapen: list[str],
) -> str:
    lines = [f"{source} does not fit {type(network).__name__}:"]
    for title, entries in (
        ("missing in the file", missing),
        ("unexpected in the file", unexpected),
        ("of another shape", misshapen),
    ):
        if entries:
            rest = f", … {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
            lines.append(f"  {len(entries)} {title}: {', '.join(entries[:_SHOWN])}{rest}")
    lines.append("  Is it the checkpoint of this model and variant?")
    return "\n".join(lines)
