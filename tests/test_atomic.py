"""A file that cannot be finished leaves what was there, and nothing beside it."""

import errno
import os
from pathlib import Path

import pytest

from src.atomic import atomic_path, atomic_write


def break_off(path: Path) -> None:
    with atomic_path(path) as unfinished:
        unfinished.write_text("ne")
        raise OSError("full")


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text("old")
    with pytest.raises(OSError, match="full"):
        break_off(path)
    assert path.read_text() == "old"
    with atomic_path(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "table.md", tmp_path / "folder"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - which one hangs on the system
            atomic_write(path, "numbers")
        assert caught.value.filename == str(path)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_a_write_that_fails_for_want_of_room_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(tmp_path / "numbers.json", "{}")
    assert caught.value.filename == str(tmp_path / "numbers.json")


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("ß" * 127)  # 254 bytes
    atomic_write(path, "numbers")
    assert path.read_text() == "numbers"


def test_a_device_is_written_to_and_stays_a_device(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    atomic_write(pipe, "numbers")
    assert os.read(end, 100) == b"numbers"
    os.close(end)
    assert pipe.is_fifo()


def test_text_is_written_as_utf_8_whatever_a_name_holds(tmp_path: Path) -> None:
    atomic_write(tmp_path / "table.md", "± caf\udce9")
    assert (tmp_path / "table.md").read_bytes() == "± caf".encode() + rb"\udce9"
