"""One job of a sweep: a child process that dies with its parent."""

import ctypes
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

from .freeze import thaw
from .results import RESULTS

_PR_SET_PDEATHSIG = 1


def run_child(command: list[str], output: Path) -> int:
    """Run a job to its end, its output in a file and here; return its exit code."""
    with output.open("ab") as file:
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
        main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGTERM)
        if main:
            signal.signal(signal.SIGTERM, lambda signum, _: child.send_signal(signum))
        try:
            assert child.stdout is not None
            while block := child.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                file.write(block)
                file.flush()
                sys.stdout.write(block.decode(errors="replace"))
                sys.stdout.flush()
            return child.wait()
        finally:
            if main:
                signal.signal(signal.SIGTERM, before)


def objective(folder: Path) -> float | None:
    """What a sweep maximises: the mean over test sets of the metric that `objective` names."""
    path = folder / RESULTS
    if not path.is_file():
        return None
    name = thaw(folder).objective
    values = [row[name] for row in json.loads(path.read_text()).values() if name in row]
    return sum(values) / len(values) if values else None


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that none writes on alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
