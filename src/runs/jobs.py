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
    results = read_results(folder)
    if not results:
        return None
    try:
        name = thaw(folder).get("objective")
    except UserError as error:
        log.warning("%s", error)
        return None
    values = [row[name] for row in results.values() if name in row]
    if not values:
        log.warning("objective=%s is no measure of %s; see metrics.test", name, folder / RESULTS)
    return sum(values) / len(values) if values else None


def read_results(folder: Path) -> dict[str, dict[str, float]]:
    """The measures of a job by test set; none where it left none or a damaged file."""
    path = folder / RESULTS
    if not path.is_file():
        return {}
    advice = "remove it and job.json: the job is then done again"
    try:
        results = read_json(path, advice)
        if not all(isinstance(row, dict) for row in results.values()):
            raise UserError(f"{path} is damaged (not measures by test set); {advice}")
    except UserError as error:
        log.warning("%s", error)
        return {}
    return results


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent is killed, so that none writes on alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _alone() -> dict[str, str]:
    """The environment without what SLURM says of its tasks: a job starts its ranks itself."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
