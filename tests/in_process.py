"""Carries out a command line in this process: the command itself, without another import of
torch for each command.
"""

import logging
import os
import random
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import exit_on_user_error
from src.training import execute

from .running import ROOT
from .signals import signals_given_back


class _Replaced(BaseException):
    """The command wants another program in its place."""

    def __init__(self, command: list[str]) -> None:
        super().__init__()
        self.command = command


def carry_out(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run `train.py …` or `-m src check …`; return the exit code.

    `train.py` replaces its own process by `src.training.execute`; here that is called in its turn.
    """
    module = words[0] == "-m"
    name, arguments = (words[1], words[2:]) if module else (str(ROOT / words[0]), words[1:])
    start = runpy.run_module if module else runpy.run_path
    monkeypatch.setattr(os, "execv", _replace)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with _own_state():
        try:
            return _exit_code(lambda: start(name, run_name="__main__"))
        except _Replaced as replaced:
            words = replaced.command[3:]  # behind python -m src.training.execute
            return _exit_code(lambda: sys.exit(exit_on_user_error(execute.main)(words)))


def finish(words: Sequence[str], cwd: Path) -> None:
    """Carry out a command in `cwd`, which shall end well; for fixtures of a module or a session.

    On one thread, as the processes of `tests/running.py`: what those leave may be compared with it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            patch.setenv("CUDA_VISIBLE_DEVICES", "")
            assert carry_out(words, patch) == 0
    finally:
        torch.set_num_threads(threads)


def _replace(_: str, command: list[str]) -> None:
    raise _Replaced(command)


def _exit_code(main: Callable[[], object]) -> int:
    try:
        main()
    except _Replaced:
        raise
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@contextmanager
def _own_state() -> Iterator[None]:
    """Start without a log, and give back what a process of its own would take to its grave."""
    if (absl := sys.modules.get("absl.logging")) is not None:  # TensorBoard's
        # It closes the stream that it found, which is pytest's, when Hydra sets logging up.
        absl.get_absl_handler().python_handler.setStream(sys.__stderr__)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    environment, generators = dict(os.environ), (random.getstate(), np.random.get_state())
    with signals_given_back(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*found in sys.modules after import", RuntimeWarning)
        try:
            yield
        finally:
            root.handlers[:], root.level = handlers, level
            random.setstate(generators[0])
            np.random.set_state(generators[1])
            os.environ.clear()
            os.environ.update(environment)
