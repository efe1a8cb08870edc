"""One job of a sweep: a child process that dies with its parent."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

from src.errors import UserError
from src.plain_data import read_json

from . import preemption
from .freeze import thaw
from .results import RESULTS

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def run_child(command: list[str], output: Path) -> int:
    """Run a job to its end, its output in a file and here; return its exit code.

    Signals that ask this process to stop go to the job, which saves itself: then the code is
    `preemption.EXIT_CODE`.
    """
    with output.open("ab") as file:
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_alone(),
            preexec_fn=die_with_parent,
        )
        with preemption.handed_on(child):
            assert child.stdout is not None
            while block := child.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                file.write(block)
                file.flush()
                sys.stdout.write(block.decode(errors="replace"))
                sys.stdout.flush()
            return child.wait()


def objective(folder: Path) -> float | None:
    """What a sweep maximises: the mean over test sets of the metric that `objective` names."""
    path = folder / RESULTS
    if not path.is_file():
        return None
    name = thaw(folder).objective
    rows = read_json(path, "remove it to have the job run again").values()
    values = [row[name] for row in rows if isinstance(row, dict) and row.get(name) is not None]
    if not all(isinstance(value, int | float) for value in values):
        raise UserError(f"{path}: {name} is no number; remove it to have the job run again")
    if not values:
        log.warning("objective=%s is no measure of %s; see metrics.test", name, path)
    return sum(values) / len(values) if values else None


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that none writes on alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _alone() -> dict[str, str]:
    """The environment without what SLURM says of its tasks: a job starts its ranks itself."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
