"""Data that several test files share."""

from pathlib import Path

import pytest

from tests.running import write_pairs


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with 10 training and 7 test pictures, no multiple of 2 or 3."""
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder / "train", 10, seed=1)
    write_pairs(folder / "test", 7, seed=2)
    return folder
