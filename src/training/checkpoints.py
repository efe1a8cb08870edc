"""Checkpoints of a run: written whole or not at all, found, checked and read."""

import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from src.datamodules.clicks import Prompts, prompts_of
from src.errors import UserError
from src.processing import Processor
from src.weights.checkpoint import Checkpoint, WeightsError, read_checkpoint, verify

# One name for all, so that a kill leaves one such file at most and the next checkpoint takes it.
_UNFINISHED = ".unfinished.ckpt"
log = logging.getLogger(__name__)
FOLDER = "checkpoints"
_RECENT = re.compile(r"recent-(\d+)\.ckpt$")
_FARTHEST = 10_000  # pixels around an object


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the checkpoint and renames.

    Lightning's own writes into the system's temporary folder and moves the file from there. From
    another disk, moving is copying onto the old checkpoint: a kill or a full disk destroys both.
    It also holds the whole file in memory.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; the one of the same name is there until the new one is.

        Raises:
            OSError: The disk is full, or cannot be written to.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(_UNFINISHED)
        try:
            with unfinished.open("wb") as file:
                save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """All of a checkpoint, read as every command reads one; once, where it was verified.

        Raises:
            WeightsError: It is damaged, or no checkpoint.
        """
        return dict(read_checkpoint(path, contents=True).content)


class _Sink:
    """Hands bytes on to a file until that fails or is over; from then on takes and forgets them.

    torch closes its archive on the way out, and an archive that was broken off once more when it is
    let go of, maybe after the file was closed: an exception there ends the process (SIGABRT).
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.failure: BaseException | None = None
        self.is_over = False

    def write(self, data: Any) -> int:
        if not self.is_over and self.failure is None:
            try:
                self._file.write(data)
            except BaseException as error:
                self.failure = error
                raise
        return len(data)

    def flush(self) -> None:
        if not self.is_over and self.failure is None:
            self._file.flush()


def save(checkpoint: dict[str, Any], file: Any) -> None:
    """Write a checkpoint into an open file; what breaks it off is raised as it was."""
    outside = sys.exc_info()[1]
    sink = _Sink(file)
    try:
        torch.save(checkpoint, cast(IO[bytes], sink))
    except RuntimeError as error:
        # torch complains of its half-written archive instead of what broke it off: a full disk, or
        # a loader's worker that died.
        if sink.failure is not None:
            raise sink.failure from None
        if error.__context__ is not None and error.__context__ is not outside:
            raise error.__context__ from None
        raise
    finally:
        sink.is_over = True


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
