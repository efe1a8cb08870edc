"""A run's folder: made or refused in one line, and held by one command at a time."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from src.errors import UserError, os_errors_as_user_errors


class RunFolder(Callback):
    """Hydra's callback that makes the folder of a run or a sweep; Hydra shows a traceback."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _make(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _make(config.hydra.sweep.dir)


def _make(folder: str) -> None:
    try:
        with os_errors_as_user_errors(folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
    except UserError as error:
        sys.exit(f"error: {error}")


# Of processes that were started together, whoever started them; the first one holds the lock.
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
_PATIENCE = 20.0


@contextmanager
def held(folder: Path, seconds: float = _PATIENCE) -> Iterator[None]:
    """Hold a run's folder; it is let go even if this process is killed.

    Args:
        folder: Of the run.
        seconds: To wait: the loaders of a run that was killed hold on until they notice.

    Raises:
        UserError: Another command carries this run out.
    """
    first = all(os.environ.get(name, "0") == "0" for name in _RANKS)
    if not first or not folder.is_dir():
        yield
        return
    lock = FileLock(folder / ".running.lock")
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise UserError(f"{folder}: another command is carrying out this run") from None
    try:
        yield
    finally:
        lock.release()
