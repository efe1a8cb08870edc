"""Data that several test files share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.in_process import carry_out
from tests.running import write_pairs

RunCommand = Callable[..., str]

_CPU_TIME = "CPU seconds"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--report-unmarked",
        type=float,
        metavar="SECONDS",
        help="list tests that take more CPU time than this and lack the marker slow",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note the CPU time of a test and its processes, which other work leaves as it is."""
    before = _cpu_time()
    try:
        yield
    finally:
        item.user_properties.append((_CPU_TIME, _cpu_time() - before))


def _cpu_time() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    limit = config.getoption("--report-unmarked")
    if limit is None:
        return
    seen = {
        report.nodeid: seconds
        for report in terminalreporter.stats.get("passed", [])
        for name, seconds in report.user_properties
        if name == _CPU_TIME and seconds > limit and "slow" not in report.keywords
    }
    terminalreporter.section(f"without the marker slow, over {limit:g} CPU seconds")
    for test, seconds in sorted(seen.items(), key=lambda found: -found[1]):
        terminalreporter.write_line(f"{seconds:6.1f} {test}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: what is left when a worker runs dry are then quick ones."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with 10 training and 7 test images, no multiple of 2 or 3."""
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder / "train", 10, seed=1)
    write_pairs(folder / "test", 7, seed=2)
    return folder


@pytest.fixture
def run_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> RunCommand:
    """Calls a command in this process from `tmp_path`, checks its exit code, returns what it said.

    Starting a process costs seconds of imports; tests of how processes start, stop and share a
    run start them (`tests/running.py`).
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def call(*words: str, code: int = 0) -> str:
        capfd.readouterr()
        found = carry_out(words, monkeypatch)
        said = "".join(capfd.readouterr())
        assert found == code, said
        return said

    return call
