"""A run's folder, held by one command at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from src.errors import UserError

# Of processes that were started together, whoever started them; the first one holds the lock.
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
_PATIENCE = 20.0


def is_first_process() -> bool:
    """Whether this is the first of the processes that carry a run out together."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)


@contextmanager
def run_lock(folder: Path, seconds: float = _PATIENCE) -> Iterator[None]:
    """Hold a run's folder; it is let go even if this process is killed.

    Args:
        folder: Of the run.
        seconds: To wait: the loaders of a run that was killed hold on until they notice.

    Raises:
        UserError: Another command carries this run out.
    """
    if not is_first_process() or not folder.is_dir():
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
