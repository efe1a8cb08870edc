"""Checkpoints of a run: found, checked and read."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.datamodules.clicks import Prompts, prompts_of
from src.errors import UserError
from src.processing import Processor
from src.weights.checkpoint import Checkpoint, WeightsError, verify

log = logging.getLogger(__name__)
FOLDER = "checkpoints"
_RECENT = re.compile(r"recent-(\d+)\.ckpt$")
_FARTHEST = 10_000  # pixels around an object


def step(path: Path) -> int:
    """After which optimizer step a `recent-<step>.ckpt` was written."""
    match = _RECENT.search(path.name)
    if match is None:
        raise ValueError(f"{path} is not named recent-<step>.ckpt")
    return int(match[1])


def latest(folder: Path) -> Path | None:
    """The newest usable `recent-<step>.ckpt` of a run; damaged ones are passed over, and said."""
    named = (folder / FOLDER).glob("recent-*.ckpt")
    found = [path for path in named if _RECENT.search(path.name)]
    for path in sorted(found, key=step, reverse=True):
        reason = _damage(path)
        if reason is None:
            return path
        log.warning("%s is damaged; falling back to the checkpoint before it (%s)", path, reason)
    if found:
        raise UserError(f"none of the checkpoints in {folder / FOLDER} can be read")
    return None


def best(folder: Path) -> Path:
    """The checkpoint a run tests: the best of its validations, else the newest."""
    path = folder / FOLDER / "best.ckpt"
    if path.is_file():
        if reason := _damage(path):
            raise UserError(
                f"{path} is damaged; remove it to test the newest recent-*.ckpt in its place "
                f"({reason})"
            )
        return path
    if newest := latest(folder):
        return newest
    raise UserError(f"{folder} has no checkpoint to test; did its training start?")


def processor_of(checkpoint: Checkpoint) -> Processor:
    """The pre- and post-processing that a checkpoint of ours states.

    Raises:
        UserError: Values that are none.
    """
    assert checkpoint.metadata is not None
    try:
        return Processor(**checkpoint.metadata.processor)
    except (TypeError, ValueError) as error:
        raise _of_another_version(checkpoint, "processor", error) from None


def prompts_in(checkpoint: Checkpoint) -> Prompts | None:
    """How clicks become a prompt, where a checkpoint of ours states it.

    Raises:
        UserError: Values that are none.
    """
    assert checkpoint.metadata is not None
    said = checkpoint.metadata.prompts
    if said is None:
        return None
    try:
        _check_pixels(said)
        return prompts_of(**said)
    except (TypeError, ValueError) as error:
        raise _of_another_version(checkpoint, "prompts", error) from None


def _check_pixels(said: Mapping[str, Any]) -> None:
    for name, value in said.items():
        number = isinstance(value, int) and not isinstance(value, bool)
        if name != "kind" and not (number and 0 <= value <= _FARTHEST):
            raise ValueError(f"{name} is {value!r}, not a number of pixels")


def _of_another_version(checkpoint: Checkpoint, part: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(
        f"{checkpoint.path}: its {part}: {reason}; it was made by another version of finecut"
    )


def _damage(path: Path) -> str | None:
    """Why a checkpoint cannot be used; else it is kept for whoever reads it next."""
    try:
        verify(path)
    except WeightsError as error:
        return str(error).removeprefix(str(path)).lstrip(": ")
    return None
