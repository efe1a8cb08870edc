"""Cores that this process may use are counted, not those that the machine has."""

import os

import pytest

from src.cores import cores


def test_a_process_that_may_use_few_cores_counts_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cores() == 3


@pytest.mark.parametrize(("counted", "cores_there"), [(8, 8), (None, 1)])
def test_where_the_system_does_not_say_all_are_counted(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, cores_there: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert cores() == cores_there
