"""Data that several test files share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.in_process import carry_out
from tests.running import write_pairs

RunCommand = Callable[..., str]


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
