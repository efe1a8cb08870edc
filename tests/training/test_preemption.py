"""Signals that ask a run to stop: noted, handed on, a notice of SLURM answered by requeueing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.training import preemption
from src.training.preemption import Preempted
from tests.signals import signals_given_back


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    with signals_given_back():
        yield


def note(number: int) -> None:
    preemption.install_handlers()
    preemption.delay_signals(True)
    signal.raise_signal(number)


def test_outside_training_a_signal_ends_the_process_with_a_code_of_its_own() -> None:
    preemption.install_handlers()
    with pytest.raises(SystemExit) as stopped:
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == preemption.EXIT_CODE == 75


def test_in_training_it_waits_to_be_asked() -> None:
    note(signal.SIGUSR1)
    assert preemption.pending_signal() == signal.SIGUSR1
    signal.raise_signal(signal.SIGTERM)
    assert preemption.pending_signal() == signal.SIGUSR1, "the first tells why"
    with pytest.raises(Preempted):
        preemption.delay_signals(False)


# Python 3.12 warns of forks beside threads, which data loaders make too.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_forked_workers_leave_notices_to_their_parent_but_can_be_terminated(number: int) -> None:
    note(number)
    preemption._Notice.received = 0
    worker = os.fork()
    if worker == 0:
        signal.raise_signal(number)
        os._exit(preemption.pending_signal())
    _, status = os.waitpid(worker, 0)
    if number == signal.SIGTERM:
        assert os.WTERMSIG(status) == signal.SIGTERM
    else:
        assert os.waitstatus_to_exitcode(status) == 0


CHILD = """
import signal, sys
def save(*_):
    print("saved", flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", preemption.SIGNALS)
def test_a_parent_hands_signals_on_and_waits(number: signal.Signals) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
    before = signal.getsignal(number)
    with preemption.signals_forwarded(child):
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        signal.raise_signal(number)
        assert child.communicate()[0] == b"saved\n"
    assert child.returncode == preemption.EXIT_CODE
    assert preemption.pending_signal() == number
    assert signal.getsignal(number) == before


@pytest.fixture
def requeued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a stand-in for `scontrol`, first in PATH, writes what it was reason."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    log = tmp_path / "scontrol.log"
    log.touch()
    stand_in = tmp_path / "bin" / "scontrol"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    return log


@pytest.mark.parametrize(
    ("number", "variables", "reason"),
    [
        (signal.SIGUSR1, {"SLURM_JOB_ID": "7"}, "requeue 7\n"),
        (signal.SIGUSR2, {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}, "requeue 7\n"),
        (
            signal.SIGUSR1,
            {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"},
            "requeue 7_2\n",
        ),
        (signal.SIGUSR1, {"SLURM_JOB_ID": "7", "SLURM_PROCID": "1"}, ""),  # rank 0 does it
        (signal.SIGTERM, {"SLURM_JOB_ID": "7"}, ""),  # scancel
        (signal.SIGUSR1, {}, ""),
    ],
)
def test_a_notice_is_answered_by_requeueing_once(
    requeued: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    variables: dict[str, str],
    reason: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(preemption, "_PATIENCE", 0)  # of the others, for rank 0
    note(number)
    preemption.requeue()
    assert requeued.read_text() == reason


def test_a_launcher_that_requeues_by_itself_is_left_to_it(
    requeued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    asked = []
    preemption._Notice.received = signal.SIGUSR2
    signal.signal(signal.SIGUSR2, lambda number, _: asked.append(number))
    with pytest.raises(Preempted):
        preemption.exit_for_signal()
    assert asked == [signal.SIGUSR2]
    assert requeued.read_text() == ""


def test_no_scontrol_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("PATH", str(tmp_path))
    note(signal.SIGUSR1)
    preemption.requeue()
    assert "job 7 is not requeued" in caplog.text
