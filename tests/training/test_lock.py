"""A run folder is held by one command, and by its first rank alone."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.training.run_folder import run_lock


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def test_two_commands_cannot_hold_a_run(tmp_path: Path) -> None:
    with (
        run_lock(tmp_path),
        pytest.raises(UserError, match="another command is carrying out this run"),
        run_lock(tmp_path, seconds=0),
    ):
        pass
    with run_lock(tmp_path, seconds=0):
        pass


def test_other_ranks_work_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_lock(tmp_path):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with run_lock(tmp_path, seconds=0):
            pass


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    with run_lock(tmp_path / "absent"):
        assert not (tmp_path / "absent").exists()
