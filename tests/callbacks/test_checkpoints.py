"""When a checkpoint is written, and which of the earlier ones stay."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.callbacks import checkpoints
from src.callbacks.checkpoints import RecentCheckpoints
from src.training.preemption import Preempted


class Trainer:
    """As much of Lightning's as the callback asks for; checkpoints are empty files."""

    world_size, is_global_zero, training = 1, True, True

    def __init__(self, step: int = 0) -> None:
        self.global_step = step
        self.strategy = SimpleNamespace(broadcast=lambda value: value)
        self.asked = 0

    def save_checkpoint(self, path: Path) -> None:
        self.asked += 1
        if self.is_global_zero:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands until it is set, in seconds."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(checkpoints, "time", clock)
    return clock


def started(folder: Path, trainer: Any, **options: Any) -> RecentCheckpoints:
    callback = RecentCheckpoints(str(folder), **options)
    callback.on_train_start(trainer, None)  # type: ignore[arg-type]
    return callback


def steps(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("recent-")) for path in folder.iterdir())


def go(callback: RecentCheckpoints, trainer: Any, *reached: int) -> None:
    for step in reached:
        trainer.global_step = step
        callback.between_steps(trainer)


def test_every_so_many_steps_and_the_last_two_stay(tmp_path: Path) -> None:
    trainer = Trainer()
    callback = started(tmp_path, trainer, steps=2)
    go(callback, trainer, 1, 2, 2, 3, 4, 5, 6)
    assert (steps(tmp_path), trainer.asked) == ([4, 6], 3)


def test_a_resumed_run_counts_from_where_it_began(tmp_path: Path) -> None:
    trainer = Trainer(step=5)
    go(started(tmp_path, trainer, steps=4), trainer, 5, 6, 8, 9)
    assert steps(tmp_path) == [9]


def test_minutes_pass_between_two(tmp_path: Path, clock: SimpleNamespace) -> None:
    trainer = Trainer()
    callback = started(tmp_path, trainer, minutes=10)
    for minute, step in ((9, 1), (10, 2), (10.1, 3), (20, 4), (20.2, 5), (99, 5)):
        clock.now = 1000 + 60 * minute
        go(callback, trainer, step)
    assert steps(tmp_path) == [3, 5]


def test_ranks_ask_the_first_ones_clock_and_not_at_every_step(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    trainer = Trainer()
    trainer.world_size, trainer.is_global_zero = 2, False
    answers: list[bool] = []
    trainer.strategy.broadcast = lambda own: answers.append(own) or True
    callback = started(tmp_path, trainer)
    go(callback, trainer, 19, 20, 21, 40)
    assert answers == [False, False]  # this rank's own clock says no
    assert trainer.asked == 2
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_rank_removes(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        (tmp_path / f"recent-{step:07d}.ckpt").touch()
    trainer = Trainer()
    trainer.is_global_zero = False
    go(started(tmp_path, trainer, steps=1), trainer, 4)
    assert steps(tmp_path) == [1, 2, 3]


def test_the_end_is_saved_once(tmp_path: Path) -> None:
    trainer = Trainer()
    callback = started(tmp_path, trainer, steps=3)
    go(callback, trainer, 3)
    callback.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert trainer.asked == 1
    trainer.global_step = 4
    callback.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert steps(tmp_path) == [3, 4]


@pytest.mark.parametrize(
    ("error", "training", "saved"),
    [
        (Preempted(), True, 1),
        (Preempted(), False, 0),  # in a test there is nothing to save
        (KeyboardInterrupt(), True, 0),  # in the middle of a batch
        (ValueError(), True, 0),
    ],
)
def test_a_run_that_is_asked_to_stop_saves_itself(
    tmp_path: Path, error: BaseException, training: bool, saved: int
) -> None:
    trainer = Trainer()
    callback = started(tmp_path, trainer)
    trainer.global_step, trainer.training = 7, training
    callback.on_exception(trainer, None, error)  # type: ignore[arg-type]
    assert trainer.asked == saved


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_stay_as_were_asked_for(tmp_path: Path, keep: int) -> None:
    trainer = Trainer()
    go(started(tmp_path, trainer, steps=1, keep=keep), trainer, *range(1, 6))
    assert steps(tmp_path) == list(range(6 - keep, 6))


def test_the_newest_stay_past_ten_million_steps(tmp_path: Path) -> None:
    """Seven digits are full then, and names no longer sort as numbers do."""
    trainer = Trainer(step=9_999_990)
    go(started(tmp_path, trainer, steps=1), trainer, 9_999_998, 9_999_999, 10_000_000, 10_000_001)
    assert steps(tmp_path) == [10_000_000, 10_000_001]


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").touch()
    (tmp_path / "recent-notes.txt").touch()
    trainer = Trainer()
    go(started(tmp_path, trainer, steps=1, keep=1), trainer, 1, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["best.ckpt", "recent-0000002.ckpt", "recent-notes.txt"]
