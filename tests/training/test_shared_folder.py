"""Processes on several machines find each other in the run's folder, or say that they do not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.errors import UserError
from src.training import shared_folder
from src.training.shared_folder import FOLDER, Started, require_shared, started_together

_NAMES = ("RANK", "WORLD_SIZE", "NODE_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_NAME")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Started(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Started(3, 4)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Started(1, 2)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "interactive"}, Started()),
        ({"SLURM_NTASKS": "8"}, Started()),  # salloc's shell
        ({"NODE_RANK": "1"}, Started(1, 2, by_hand=True)),
    ],
)
def test_a_process_knows_with_how_many_it_was_started(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Started
) -> None:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert started_together(2) == expected


def test_processes_that_share_a_folder_find_each_other_again_and_again(tmp_path: Path) -> None:
    for _ in range(30):  # what the start before has left is no answer
        with ThreadPoolExecutor(4) as pool:
            calls = [
                pool.submit(require_shared, tmp_path, Started(rank, 4)) for rank in (3, 1, 2, 0)
            ]
            assert [call.result() for call in calls] == [None] * 4


def test_a_process_alone_leaves_nothing(tmp_path: Path) -> None:
    require_shared(tmp_path, Started())
    assert not (tmp_path / FOLDER).exists()


def test_processes_in_two_folders_say_so_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_folder, "SECONDS", 0.3)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        with ThreadPoolExecutor(2) as pool:  # an earlier start, when they shared it
            list(pool.map(lambda rank, at=folder: require_shared(at, Started(rank, 2)), (0, 1)))
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(require_shared, folders[rank], Started(rank, 2)) for rank in (0, 1)]
    for call, other in zip(calls, (1, 0), strict=True):
        with pytest.raises(UserError, match=rf"nothing of rank {other} in .* have to share"):
            call.result()
