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
    as_mask,
    cached_annotations,
    label_areas,
    read_labels,
    without_small,
)
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


@pytest.mark.parametrize("mode", ["L", "P", "1", "I", "I;16"])
def test_label_maps_of_every_depth_keep_their_numbers(tmp_path: Path, mode: str) -> None:
    most = {"1": 1, "L": 200, "P": 200, "I": 60_000, "I;16": 60_000}[mode]
    labels = np.zeros((3, 4), np.uint16)
    labels[1, 2] = most
    kind = {"I": np.int32, "I;16": np.uint16}.get(mode, np.uint8)
    image = Image.fromarray(labels.astype(kind))
    if mode == "1":
        image = Image.fromarray(labels.astype(bool))
    if mode == "P":
        image.putpalette([7] * 768)  # colors say nothing of numbers
    assert image.mode == mode
    path = tmp_path / "labels.tif"
    image.save(path)
    found = read_labels(path)
    assert found.shape == (3, 4)
    assert label_areas(found) == {most: 1}


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "cannot identify"), (b"no image", "cannot identify")],
)
def test_files_that_hold_no_labels_are_named(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "labels.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"{path}: .*{words}"):
        read_labels(path)


def test_colours_and_damage_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    Image.new("RGB", (4, 3)).save(path)
    with pytest.raises(ImageError, match="'RGB' are no labels; save an 8- or 16-bit map"):
        read_labels(path)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (90, 90), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=rf"^{path}: "):
        read_labels(path)


def test_a_map_larger_than_pillow_opens_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "labels.png"
    Image.new("L", (5, 5)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageError, match=rf"{path}: Image size \(25 pixels\) exceeds limit"):
        read_labels(path)


def test_areas_leave_out_background_and_void() -> None:
    labels = np.array([[0, 1, 1], [255, 3, 3], [3, 0, 255]], np.uint8)
    assert label_areas(labels) == {1: 2, 3: 3, 255: 2}
    assert label_areas(labels, void=255) == {1: 2, 3: 3}
    assert all(type(label) is int for label in label_areas(labels))


def test_booleans_become_a_mask() -> None:
    mask = as_mask(np.array([[True, False]]))
    assert (mask.dtype, mask.tolist()) == (np.uint8, [[255, 0]])


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
