"""Lists of objects: found once, kept by the state of the files, their faults named together."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.datamodules.images import ImageError
from src.datamodules.instance_sources import (
    InstanceAnnotation,
    InstanceList,
    cached_annotations,
    without_small,
)
from src.datamodules.label_maps import read_labels
from src.datamodules.pairs import DataError

Files = list[tuple[Path, Path]]
BAD = ("bad1.png", "bad2.png")


def record(name: str = "a", area: int = 9) -> InstanceAnnotation:
    return InstanceAnnotation(name, "a.jpg", f"{name}.png", 1, 1, area)


class Finder:
    """An object for each annotation; `bad` ones cannot be read, `empty` ones have none."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, image: Path, annotation: Path) -> list[InstanceAnnotation]:
        self.seen.append(annotation.name)
        if annotation.stem.startswith("bad"):
            raise ImageError(f"{annotation}: no labels")
        if annotation.stem.startswith("empty"):
            return []
        return [InstanceAnnotation(annotation.stem, str(image), str(annotation), 1, 2, 30)]


def files(root: Path, *stems: str) -> Files:
    pairs = [(root / f"{stem}.jpg", root / f"{stem}.png") for stem in stems]
    for pair in pairs:
        for path in pair:
            path.touch()
    return pairs


def test_a_list_is_made_once_for_the_same_files(tmp_path: Path) -> None:
    find, pairs = Finder(), files(tmp_path, "a", "b")
    first = cached_annotations(pairs, find, tmp_path / "cache", "mine")
    again = cached_annotations(pairs, find, tmp_path / "cache", "mine")
    assert first == again
    assert [type(one) for one in again] == [InstanceAnnotation, InstanceAnnotation]
    assert [one.name for one in first] == ["a", "b"]
    assert sorted(find.seen) == ["a.png", "b.png"]


@pytest.mark.parametrize("change", ["size", "time", "fewer", "where", "on_error"])
def test_whatever_changes_the_objects_makes_a_new_list(tmp_path: Path, change: str) -> None:
    find, pairs = Finder(), files(tmp_path, "a", "b")
    where, rule = "mine", "stop"
    cached_annotations(pairs, find, tmp_path / "cache", where)
    if change == "size":
        pairs[0][1].write_text("x")
        os.utime(pairs[0][1], ns=(0, 0))
    elif change == "time":
        os.utime(pairs[0][1], ns=(0, 0))
    elif change == "fewer":
        pairs = pairs[:1]
    elif change == "where":
        where = "other"
    else:
        rule = "skip"
    find.seen.clear()
    cached_annotations(pairs, find, tmp_path / "cache", where, rule)  # type: ignore[arg-type]
    assert len(find.seen) == len(pairs)


def test_every_unreadable_annotation_is_in_one_message(tmp_path: Path) -> None:
    pairs = files(tmp_path, "bad1", "a", "bad2")
    with pytest.raises(DataError) as caught:
        cached_annotations(pairs, Finder(), tmp_path / "cache", "mine")
    assert caught.value.problems == [f"{tmp_path / name}: no labels" for name in BAD]
    # Nothing is remembered of it: mended files are found.
    assert not list((tmp_path / "cache").glob("*.json"))


def test_unreadable_annotations_can_be_skipped_with_a_warning_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = files(tmp_path, "bad1", "a", "bad2")
    found = cached_annotations(pairs, Finder(), tmp_path / "cache", "mine", on_error="skip")
    assert [one.name for one in found] == ["a"]
    assert [f"skipped {tmp_path / name}: no labels" in caplog.text for name in BAD] == [True] * 2


def test_images_without_an_object_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs = files(tmp_path, "a", "empty1", "empty2")
    cached_annotations(pairs, Finder(), tmp_path / "cache", "mine")
    assert "mine: 2 of 3 images have no object to point at" in caplog.text


def test_missing_files_are_named_before_any_is_read(tmp_path: Path) -> None:
    find, pairs = Finder(), files(tmp_path, "a", "b")
    pairs[0][0].unlink()
    pairs[1][1].unlink()
    with pytest.raises(DataError) as caught:
        cached_annotations(pairs, find, tmp_path / "cache", "mine")
    assert caught.value.problems == [f"no file {pairs[0][0]}", f"no file {pairs[1][1]}"]
    assert find.seen == []


def test_small_objects_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    records = [record("a", 9), record("b", 10), record("c", 11)]
    assert [one.name for one in without_small(records, 10, "mine")] == ["b", "c"]
    assert "mine: 1 objects left out, smaller than 10 pixels" in caplog.text


def test_objects_without_a_pixel_are_left_out_whatever_is_asked_for() -> None:
    assert without_small(iter([record("a", 0), record("b", 1)]), 0, "mine") == [record("b", 1)]


def test_a_set_without_any_object_is_refused() -> None:
    with pytest.raises(DataError, match="no object of at least 50 pixels among 2"):
        without_small([record(area=9), record(area=10)], 50, "mine")


class Maps(InstanceList):
    """Objects whose annotations are label maps with void at 255."""

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = read_labels(annotation)
        return labels, labels == 255


def test_a_record_becomes_an_object_with_what_does_not_count(tmp_path: Path) -> None:
    labels = np.array([[1, 1, 255], [0, 2, 1]], np.uint8)
    Image.fromarray(labels).save(tmp_path / "a.png")
    Image.new("RGB", (3, 2), "red").save(tmp_path / "photo.png")
    places = (str(tmp_path / "photo.png"), str(tmp_path / "a.png"))
    source = Maps(
        [InstanceAnnotation("a_2", *places, 2, 5, 1), InstanceAnnotation("a_1", *places, 1, 4, 3)],
        ("VOC",),
    )
    assert (len(source), source.names, source.sets) == (2, ["a_2", "a_1"], ("VOC",))
    instance = source.sample(1)
    assert (instance.name, instance.category) == ("a_1", 4)
    assert instance.mask.tolist() == [[255, 255, 0], [0, 0, 255]]
    assert instance.void.tolist() == [[0, 0, 255], [0, 0, 0]]
    assert instance.image[0, 0].tolist() == [255, 0, 0]
