"""Training stops after a step, on the signal that any rank received, and nowhere in between."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from src.training import preemption
from src.training.between_steps import StopBetweenSteps
from src.training.preemption import Preempted
from tests.signals import signals_given_back


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    with signals_given_back():
        yield


def trainer(step: int = 0, world_size: int = 1) -> Any:
    return SimpleNamespace(global_step=step, world_size=world_size)


def started(at: Any) -> StopBetweenSteps:
    callback = StopBetweenSteps()
    callback.on_train_start(at, None)  # type: ignore[arg-type]
    return callback


@pytest.mark.parametrize("number", preemption.SIGNALS)
def test_a_signal_waits_for_the_end_of_the_step(number: int) -> None:
    at = trainer()
    callback = started(at)
    signal.raise_signal(number)
    callback.between_steps(at)  # a batch that only accumulates
    at.global_step = 1
    with pytest.raises(Preempted):
        callback.between_steps(at)
    assert preemption.pending_signal() == number


def test_without_a_signal_training_goes_on() -> None:
    at = trainer()
    callback = started(at)
    for at.global_step in (1, 1, 2):
        callback.between_steps(at)
    callback.on_train_end(at, None)  # type: ignore[arg-type]
    assert preemption.pending_signal() == 0


def test_a_signal_of_the_last_step_takes_effect_when_training_ends() -> None:
    at = trainer()
    callback = started(at)
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Preempted):
        callback.on_train_end(at, None)  # type: ignore[arg-type]


def test_in_a_test_a_signal_ends_the_process_at_once() -> None:
    at = trainer()
    callback = started(at)
    callback.on_train_end(at, None)  # type: ignore[arg-type]
    for number in preemption.SIGNALS:  # as Lightning does
        signal.signal(number, signal.SIG_IGN)
    callback.on_test_start(at, None)  # type: ignore[arg-type]
    with pytest.raises(Preempted):
        signal.raise_signal(signal.SIGUSR1)


def test_all_ranks_stop_on_the_signal_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[Any] = []

    def reduce(number: torch.Tensor, how: Any, group: str) -> None:
        assert how == torch.distributed.ReduceOp.MAX
        groups.append(group)
        number.fill_(int(signal.SIGUSR1))  # another rank's

    monkeypatch.setattr(torch.distributed, "new_group", lambda backend: f"{backend} group")
    monkeypatch.setattr(torch.distributed, "all_reduce", reduce)
    at = trainer(world_size=2)
    callback = started(at)
    at.global_step = 1
    with pytest.raises(Preempted):
        callback.between_steps(at)
    assert groups == ["gloo group"]  # on the CPU: no GPU waits for it
    assert preemption.pending_signal() == signal.SIGUSR1
