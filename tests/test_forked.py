"""Forked processes are processes as Python starts them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import ROOT, Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def fork(cwd: Path, *words: str) -> Process:
    pipe, command = subprocess.PIPE, [sys.executable, "-m", *words]
    return Process(
        command, cwd=cwd, env=ENVIRONMENT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.parametrize(("word", "code"), [("--help", 0), ("no_such_command", 2)])
def test_they_print_and_end_as_others_do(tmp_path: Path, word: str, code: int) -> None:
    forked = fork(tmp_path, "src", word)
    said = forked.communicate(timeout=100)
    command = [sys.executable, "-m", "src", word]
    other = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert said == (other.stdout, other.stderr)
    assert forked.returncode == other.returncode == code


def test_they_are_children_that_signals_reach(tmp_path: Path) -> None:
    with fork(tmp_path, "src", "predict", "input=-") as forked:
        assert f"\nPPid:\t{os.getpid()}\n" in Path(f"/proc/{forked.pid}/status").read_text()
        forked.send_signal(signal.SIGKILL)
        assert forked.wait(timeout=100) == -signal.SIGKILL
