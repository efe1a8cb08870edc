"""Loads and writes checkpoints under their authors' parameter names, strictly."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from src.models import build_untrained, composed
from src.weights.checkpoint import (
    Checkpoint,
    WeightsError,
    bare_state,
    check_tensors,
    read_checkpoint,
)
from src.weights.metadata import MetadataError
from src.weights.registry import identify

log = logging.getLogger(__name__)
StateDict = Mapping[str, Tensor]
_SHOWN, _LONGEST = 5, 160


def create(name: str, **arguments: Any) -> Any:
    """The network of a model of conf/model with random weights.

    Raises:
        UserError: No model is called so, or arguments that its network does not take.
    """
    return build_untrained(composed(name).network, **arguments)


class Loadable(Protocol):
    """What loading asks of a network; every `src.networks.network.Network` answers it.

    Networks read files of weights of their backbones, so this package imports none of them.
    """

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...

    def to_upstream_key(self, name: str) -> str: ...

    def upstream_buffers(self) -> dict[str, Tensor]: ...

    def explain_misfit(self, state: StateDict) -> str | None: ...

    def convert_weights(
        self, state: dict[str, Tensor], made_with: Mapping[str, Any], source: str
    ) -> dict[str, Tensor]: ...


class LoadReport(NamedTuple):
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


def build(name: str, checkpoint: str | Path | None = None, **arguments: Any) -> Any:
    """The network of a model in evaluation mode, with a checkpoint's weights if one is given.

    Args:
        name: A model of conf/model.
        checkpoint: The path of a released file or of one of ours, or a name of the registry.
        arguments: The network's, in place of those that the model has.
    """
    network = create(name, **arguments).eval()
    if checkpoint is not None:
        load_official(network, checkpoint)
    return network


def load_official(
    network: Loadable,
    weights: StateDict | Checkpoint | str | Path,
    *,
    allow_partial: bool = False,
) -> LoadReport:
    """Copy weights under official (or our own) names into `network`.

    A file's weights are brought into the form that the network reads, where the two differ
    (`Network.convert_weights`); a state dict is taken as it is. Raises WeightsError that lists the
    first missing, unexpected and misshapen entries, unless `allow_partial`, which loads what fits
    and says what did not.
    """
    if isinstance(weights, str | Path):
        weights = read_checkpoint(weights)
    if isinstance(weights, Checkpoint):
        source, state = str(weights.path), weights.state
    else:
        source, state = "the given state dict", bare_state(weights)
        check_tensors(state)
    found = _compare(network, state)
    if found.refused and not allow_partial:
        raise WeightsError(found.message(network, source, state))
    ours = network.state_dict()
    wrong = {entry.split(":", 1)[0] for entry in found.misshapen}
    fitting = {
        key: state[theirs]
        for key, theirs in found.keys.items()
        if theirs in state and key not in wrong
    }
    if isinstance(weights, Checkpoint):
        fitting = network.convert_weights(fitting, _made_with(weights), source)
    network.load_state_dict({**ours, **fitting})
    report = LoadReport(source, len(fitting), len(ours), found.missing, found.unexpected)
    log.info("%s", report)
    return report


def _made_with(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Arguments of the network that a file was trained with, as far as it or the registry says."""
    if checkpoint.metadata is not None:
        return checkpoint.metadata.arguments
    released = identify(checkpoint.path, checkpoint.sha256)
    return dict(released.made_with) if released else {}


def check_fits(network: Loadable, checkpoint: Checkpoint) -> None:
    """Raise WeightsError unless a checkpoint's weights are the network's, by name and shape."""
    found = _compare(network, checkpoint.state)
    if found.refused:
        raise WeightsError(found.message(network, str(checkpoint.path), checkpoint.state))


def network_of(checkpoint: Checkpoint) -> Any:
    """The network that a checkpoint of ours names, with random weights.

    Before memory is taken for it, its weights' names and shapes are compared with the file's.

    Raises:
        WeightsError: No network of ours, or not the one of these weights.
    """
    assert checkpoint.metadata is not None
    check_outline(checkpoint)
    try:
        return checkpoint.metadata.build()
    except MetadataError as error:
        raise WeightsError(f"{checkpoint.path} {error}") from None


def check_outline(checkpoint: Checkpoint) -> None:
    """Raise WeightsError unless the network that a checkpoint names is that of its weights."""
    assert checkpoint.metadata is not None
    try:
        outline = checkpoint.metadata.outline()
    except MetadataError as error:
        raise WeightsError(f"{checkpoint.path} {error}") from None
    if outline is not None:
        check_fits(outline, checkpoint)


def to_official(network: Loadable) -> dict[str, Tensor]:
    """The state of `network` under its authors' names, constants included."""
    state = {network.to_upstream_key(key): value for key, value in network.state_dict().items()}
    return {**state, **network.upstream_buffers()}


def _translate(network: Loadable, ours: StateDict, state: StateDict) -> dict[str, str]:
    """The key of `state` for each of ours: our own where the file is ours, else the authors'."""
    theirs = {key: network.to_upstream_key(key) for key in ours}
    # Some names are the same in both: the naming that matches more entries is the file's.
    if sum(key in state for key in ours) > sum(key in state for key in theirs.values()):
        return {key: key for key in ours}
    return theirs


class _Comparison(NamedTuple):
    """A state dict beside a network: `keys` are the names in it of each of the network's own."""

    keys: dict[str, str]
    missing: list[str]
    unexpected: list[str]
    misshapen: list[str]

    @property
    def refused(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def message(self, network: Loadable, source: str, state: StateDict) -> str:
        """What does not fit, on one line."""
        if reason := network.explain_misfit(state):
            return f"{source} {reason}"
        parts = []
        for title, entries in (
            ("missing in the file", self.missing),
            ("unexpected in the file", self.unexpected),
            ("of another shape or kind", self.misshapen),
        ):
            if entries:
                rest = f", … {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
                shown = ", ".join(entry[:_LONGEST] for entry in entries[:_SHOWN])
                parts.append(f"{len(entries)} {title} ({shown}{rest})")
        return (
            f"{source} does not fit {type(network).__name__}: {'; '.join(parts)}. Is it the "
            "checkpoint of this model and variant?"
        )


def _compare(network: Loadable, state: StateDict) -> _Comparison:
    ours = network.state_dict()
    theirs = _translate(network, ours, state)
    misshapen = [
        reason
        for key, value in ours.items()
        if theirs[key] in state and (reason := _difference(key, state[theirs[key]], value))
    ]
    # Releases older than PyTorch 0.4.1 have no batch counters; nothing is computed from them.
    missing = [
        key for key in ours if theirs[key] not in state and not key.endswith("num_batches_tracked")
    ]
    known = set(theirs.values()) | set(network.upstream_buffers())
    return _Comparison(theirs, missing, [key for key in state if key not in known], misshapen)


def _difference(key: str, given: Tensor, wanted: Tensor) -> str | None:
    if given.shape != wanted.shape:
        return f"{key}: checkpoint {tuple(given.shape)}, network {tuple(wanted.shape)}"
    if given.is_floating_point() == wanted.is_floating_point():
        return None
    if key.endswith("num_batches_tracked"):
        return None
    return f"{key}: checkpoint {given.dtype}, network {wanted.dtype}"
