"""Writes a checkpoint whole or not at all, without a detour, and reads it checked."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from src.networks.checkpoint import read_checkpoint

# One name for all, so that a kill leaves one such file at most and the next checkpoint takes it.
_UNFINISHED = ".unfinished.ckpt"


class WholeCheckpointIO(TorchCheckpointIO):
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


def save(checkpoint: dict[str, Any], file: Any) -> None:
    """Write a checkpoint into an open file; what breaks it off is raised as it was."""
    outside = sys.exc_info()[1]
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        # On the way out torch closes its archive, and where that is half written complains of the
        # archive instead of what broke it off: a full disk, or a loader's worker that died.
        if error.__context__ is not None and error.__context__ is not outside:
            raise error.__context__ from None
        raise
