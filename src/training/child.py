"""A training as a child process that dies with its parent."""

import os
import subprocess
import sys
from pathlib import Path

from src.processes import die_with_parent
from src.training import preemption


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
        with preemption.signals_forwarded(child):
            assert child.stdout is not None
            while block := child.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                file.write(block)
                file.flush()
                sys.stdout.write(block.decode(errors="replace"))
                sys.stdout.flush()
            return child.wait()


def _alone() -> dict[str, str]:
    """The environment without what SLURM says of its tasks: a job starts its ranks itself."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}


def let_idle_threads_sleep() -> None:
    """Let OpenMP's idle threads sleep: spinning, they take the cores from the data's workers.

    Measured on 2 busy cores: a training step of U²-Net-p takes half the CPU time and half as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
