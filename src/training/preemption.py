"""Lets a run that loses its machine save itself, and has SLURM start it again.

Three signals ask a run to stop: SIGTERM (`kill`, `scancel`, SLURM's preemption), SIGUSR1 (SLURM's
notice before a time limit, `--signal=USR1@120`) and SIGUSR2 (the same, as submitit sets it). In
training it stops between two steps, where a checkpoint continues bit-equal; elsewhere, at once.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
EXIT_CODE = 75  # sysexits.h: temporary failure, the same command may succeed later

_PATIENCE = 60.0  # seconds in which rank 0 requeues a job

_RESTARTS = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")


class Preempted(SystemExit):
    """A signal asked this process to stop; what it was doing can be continued."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class _Notice:
    """What this process was asked, and whether it finishes its step first."""

    received = 0  # the signal's number
    deferred = False
    owner = 0  # the process that watches; its forks do not


def install_handlers() -> None:
    """Answer the signals from here on, in this process but not in those it forks."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread of a process may answer signals
    _Notice.owner = os.getpid()
    for number in SIGNALS:
        signal.signal(number, _answer)


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Afterwards signals, Ctrl-C too, are answered as they were before, and none is noted."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread of a process may answer signals
        return
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _Notice.received, _Notice.deferred = 0, False


def pending_signal() -> int:
    """The signal that asked this process to stop, 0 if none did."""
    return _Notice.received


def stop_for_signal(number: int) -> None:
    """Note that this process, or one it works with, was asked to stop, and do so."""
    _Notice.received = number
    raise Preempted


def delay_signals(deferred: bool) -> None:
    """Whether signals wait until someone asks for them; one that waited takes effect at last."""
    _Notice.deferred = deferred
    if not deferred and _Notice.received:
        raise Preempted


@contextmanager
def signals_forwarded(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """While this process waits for `child`, hand the signals on to it; the child saves itself."""

    def hand_on(number: int, _: FrameType | None) -> None:
        _Notice.received = number
        child.send_signal(signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread of a process may answer signals
        return
    before = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_for_signal() -> None:
    """End this process as it was asked to, once its work is safe.

    A launcher that answers the signal itself, as submitit does, is left to requeue its job.
    """
    number = signal.Signals(_Notice.received)
    if callable(signal.getsignal(number)):
        signal.raise_signal(number)
    else:
        requeue()
    raise Preempted


def restarted() -> bool:
    """Whether SLURM or torchrun started this process again, to go on with what it did before."""
    counts = (os.environ.get(name, "0") for name in _RESTARTS)
    return any(count != "0" for count in counts)


def requeue() -> None:
    """Put this SLURM job back into the queue if a notice of its end stopped it.

    SIGTERM is not answered so: `scancel` ends a job for good with it, and a job that SLURM
    pre-empts is requeued by SLURM.
    """
    notice = _Notice.received in (signal.SIGUSR1, signal.SIGUSR2)
    job = os.environ.get("SLURM_JOB_ID")
    if not notice or job is None:
        return
    if os.environ.get("SLURM_PROCID", "0") != "0":
        # Rank 0 does it, and is killed before it can where SLURM ends all tasks with the first
        # that ends (`srun --kill-on-bad-exit`). SLURM ends this process once it is done.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(_PATIENCE)
        return
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        done = subprocess.run(["scontrol", "requeue", job], check=False)
    except FileNotFoundError:
        log.warning("job %s is not requeued: there is no scontrol here", job)
        return
    if done.returncode:
        log.warning("job %s is not requeued: scontrol ended with %d", job, done.returncode)
    else:
        log.info("job %s is requeued", job)


def _answer(number: int, _: FrameType | None) -> None:
    if os.getpid() != _Notice.owner:
        # A forked worker. SLURM signals it too; it works on until its parent ends it by SIGTERM.
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        return
    _Notice.received = _Notice.received or number
    if not _Notice.deferred:
        raise Preempted
