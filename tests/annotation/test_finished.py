"""Finished images are known again by the same key, and by no other."""

from pathlib import Path

import pytest

from src.annotation.annotate import FinishedImages

MASK = {"id": 3, "bbox": [1, 2, 3, 4], "segmentation": {"counts": "x"}}


def path(folder: Path) -> Path:
    return folder / "out" / "masks.json.partial"


def test_a_new_file_knows_nothing(tmp_path: Path) -> None:
    finished = FinishedImages(path(tmp_path), "a")
    assert len(finished) == 0
    assert finished.get(1) is None
    assert path(tmp_path).is_file()


def test_what_was_added_is_known_at_once_and_again(tmp_path: Path) -> None:
    first = FinishedImages(path(tmp_path), "a")
    first.add(1, [MASK])
    first.add("two", [])
    for finished in (first, FinishedImages(path(tmp_path), "a")):
        assert len(finished) == 2
        assert finished.get(1) == [MASK]
        assert finished.get("two") == []
        assert finished.get("1") is None


def test_another_key_starts_anew(tmp_path: Path) -> None:
    FinishedImages(path(tmp_path), "a").add(1, [MASK])
    assert FinishedImages(path(tmp_path), "b").get(1) is None
    assert FinishedImages(path(tmp_path), "a").get(1) is None  # the file is b's now


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_an_image_that_was_cut_short_is_done_again_and_no_other(tmp_path: Path, cut: int) -> None:
    finished = FinishedImages(path(tmp_path), "a")
    finished.add(1, [MASK])
    finished.add(2, [MASK])
    path(tmp_path).write_bytes(path(tmp_path).read_bytes()[:-cut])
    again = FinishedImages(path(tmp_path), "a")
    assert (again.get(1), again.get(2)) == ([MASK], None)
    again.add(2, [])
    assert FinishedImages(path(tmp_path), "a").get(2) == []


@pytest.mark.parametrize("content", [b"", b'\n{"ke', b'\n{"image_id": 1, "annotations": []}'])
def test_a_file_without_a_whole_key_is_not_believed(tmp_path: Path, content: bytes) -> None:
    path(tmp_path).parent.mkdir()
    path(tmp_path).write_bytes(content)
    assert len(FinishedImages(path(tmp_path), "a")) == 0
    FinishedImages(path(tmp_path), "a").add(1, [MASK])
    assert FinishedImages(path(tmp_path), "a").get(1) == [MASK]


def test_removing_twice_is_no_mistake(tmp_path: Path) -> None:
    finished = FinishedImages(path(tmp_path), "a")
    finished.remove()
    finished.remove()
    assert not path(tmp_path).exists()


def test_an_image_that_a_disk_has_damaged_is_done_again(tmp_path: Path) -> None:
    finished = FinishedImages(path(tmp_path), "a")
    finished.add(1, [MASK])
    finished.add(2, [MASK])
    content = path(tmp_path).read_bytes()
    at = content.index(b'"bbox": [1, 2')
    path(tmp_path).write_bytes(content[:at] + b'"bbox": [7' + content[at + 10 :])
    again = FinishedImages(path(tmp_path), "a")
    assert (again.get(1), again.get(2)) == (None, [MASK])
