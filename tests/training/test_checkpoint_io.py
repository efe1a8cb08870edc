"""A checkpoint is written whole, or the one before it stays."""

import errno
import gc
import io
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from src.training.checkpoint_io import AtomicCheckpointIO, save


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 64 KiB; to the program it looks like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "best.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(3)}, path)
    assert torch.load(path, weights_only=True)["weight"].tolist() == [1, 1, 1]
    assert [p.name for p in path.parent.iterdir()] == ["best.ckpt"]


def test_without_room_the_old_one_stays(tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "best.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(3)}, path)
    before = path.read_bytes()
    with pytest.raises(OSError, match="File too large") as caught:
        AtomicCheckpointIO().save_checkpoint({"weight": torch.ones(1 << 16)}, path)
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["best.ckpt"]


class Interrupted(io.BytesIO):
    """A file whose writing is broken off by what happens elsewhere, as a signal handler does it."""

    def write(self, data: Any, /) -> int:
        if self.tell() > 1 << 12:
            raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        return super().write(data)


def test_what_broke_off_the_writing_is_what_is_reported() -> None:
    checkpoint = {"weights": [torch.ones(1 << 10) for _ in range(8)]}
    with pytest.raises(RuntimeError, match="inline_container"):  # what torch would say
        torch.save(checkpoint, Interrupted())
    with pytest.raises(RuntimeError, match=r"^DataLoader worker"):
        save(checkpoint, Interrupted())


def test_an_error_of_before_is_not_taken_for_the_cause() -> None:
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(RuntimeError, match="not a checkpoint"):
            save({"weights": Unwritable()}, io.BytesIO())


class Unwritable:
    def __reduce__(self) -> str:
        raise RuntimeError("not a checkpoint")


def test_an_archive_that_is_let_go_of_after_its_file_was_closed_ends_nothing(
    tmp_path: Path, small_files: None
) -> None:
    """torch writes once more when a broken archive is collected; an exception there is SIGABRT."""
    checkpoint = {"weights": [torch.ones(1 << 12) for _ in range(8)]}
    with (
        pytest.raises(OSError, match="File too large") as caught,
        (tmp_path / "a.ckpt").open("wb") as file,
    ):
        save(checkpoint, file)
    assert caught.value.errno == errno.EFBIG
    del caught
    gc.collect()
