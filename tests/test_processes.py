"""CPUs that this process may use are counted, not those that the machine has."""

import os
from pathlib import Path

import pytest

from src import processes
from src.processes import available_cpus


@pytest.fixture(autouse=True)
def _without_quota(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_CGROUP_2", tmp_path / "cpu.max")
    monkeypatch.setattr(processes, "_CGROUP_1", tmp_path)


def test_a_process_that_may_use_few_cores_counts_these(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert available_cpus() == 3


@pytest.mark.parametrize(("counted", "cores_there"), [(8, 8), (None, 1)])
def test_where_the_system_does_not_say_all_are_counted(
    monkeypatch: pytest.MonkeyPatch, counted: int | None, cores_there: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    assert available_cpus() == cores_there


@pytest.mark.parametrize(
    ("said", "cpus"),
    [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("900000 100000", 8), ("?", 8)],
)
def test_a_container_counts_the_share_of_time_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, cpus: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(said)
    assert available_cpus() == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 8), ("200000", 2)])
def test_the_older_control_groups_are_read_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cpus: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu.cfs_period_us").write_text("100000")
    assert available_cpus() == cpus
