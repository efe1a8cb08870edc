"""Checkpoints of a run are written whole or not at all; apart from what finds and reads them, which
needs no Lightning: it takes seconds to import."""

import os
import sys
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from src.weights.checkpoint import read_checkpoint

# One name for all, so that a kill leaves one such file at most and the next checkpoint takes it.
_UNFINISHED = ".unfinished.ckpt"


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
