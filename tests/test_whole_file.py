"""A file that cannot be finished leaves what was there, and nothing beside it."""

from pathlib import Path

import pytest

from src.whole_file import written_whole


def break_off(path: Path) -> None:
    with written_whole(path) as unfinished:
        unfinished.write_text("ne")
        raise OSError("full")


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text("old")
    with pytest.raises(OSError, match="full"):
        break_off(path)
    assert path.read_text() == "old"
    with written_whole(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
