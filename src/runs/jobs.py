"""One job of a sweep: a child process that dies with its parent."""

import ctypes
import json
import signal
import subprocess
import sys
from pathlib import Path

from src.errors import UserError

from .freeze import thaw
from .results import RESULTS

_PR_SET_PDEATHSIG = 1


def run_child(command: list[str], folder: Path) -> float | None:
    """Run a job to its end and return its objective; raises UserError if it failed."""
    child = subprocess.Popen(command, preexec_fn=_die_with_parent)
    forward = signal.signal(signal.SIGTERM, lambda signum, _: child.send_signal(signum))
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGTERM, forward)
    if code:
        raise UserError(f"the job in {folder} failed with exit code {code}")
    return objective(folder)


def objective(folder: Path) -> float | None:
    """What a sweep maximises: the mean over test sets of the metric `objective` names."""
    name = thaw(folder).objective
    path = folder / RESULTS
    if name is None or not path.is_file():
        return None
    values = [row[name] for row in json.loads(path.read_text()).values() if name in row]
    return sum(values) / len(values) if values else None


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that none writes on alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
