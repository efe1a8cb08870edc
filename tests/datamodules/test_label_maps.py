"""What annotation files mark as objects, by each way to mark them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from src.datamodules.images import ImageError
from src.datamodules.label_maps import (
    VOID,
    as_mask,
    components,
    label_areas,
    read_binary,
    read_cityscapes,
    read_components,
    read_labels,
    read_nonzero,
)


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


def gray(path: Path, *rows: list[int], dtype: type = np.uint8) -> Path:
    assert cv2.imwrite(str(path), np.array(rows, dtype))
    return path


def test_a_binary_mask_is_an_object_from_the_middle_on(tmp_path: Path) -> None:
    mask = gray(tmp_path / "a.png", [0, 127, 128, 255])
    assert read_binary(mask).tolist() == [[0, 0, 1, 1]]
    assert read_binary(mask, void_value=128).tolist() == [[0, 0, VOID, 1]]


def test_a_void_value_needs_a_file_that_keeps_values(tmp_path: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[:8] = 255
    assert cv2.imwrite(str(tmp_path / "a.jpg"), mask)
    assert read_binary(tmp_path / "a.jpg").any()
    with pytest.raises(ImageError, match=r"a\.jpg: .*does not keep numbers exactly"):
        read_binary(tmp_path / "a.jpg", void_value=128)


def test_whatever_is_not_black_is_the_object(tmp_path: Path) -> None:
    colors = np.zeros((1, 4, 3), np.uint8)
    colors[0, 1], colors[0, 2] = (0, 0, 1), (200, 0, 0)
    assert cv2.imwrite(str(tmp_path / "rgb.png"), colors)
    assert read_nonzero(tmp_path / "rgb.png").tolist() == [[0, 1, 1, 0]]
    assert read_nonzero(gray(tmp_path / "gray.png", [0, 3, 255])).tolist() == [[0, 1, 1]]


def test_a_palettes_colors_count_and_not_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 0, 0, *[9] * 759])
    image.save(tmp_path / "a.png")
    assert read_nonzero(tmp_path / "a.png").tolist() == [[0, 1, 0]]


def test_black_must_be_kept_exactly(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.jpg"), np.eye(16, dtype=np.uint8) * 255)
    with pytest.raises(ImageError, match="does not keep numbers exactly"):
        read_nonzero(tmp_path / "a.jpg")


def test_parts_that_meet_at_a_corner_are_two(tmp_path: Path) -> None:
    mask = gray(tmp_path / "a.png", [255, 0, 255], [255, 0, 255], [0, 255, 0])
    assert read_components(mask).tolist() == [[1, 0, 2], [1, 0, 2], [0, 3, 0]]
    assert not components(np.zeros((2, 2), np.uint8)).any()


def test_objects_of_cityscapes_are_those_of_eight_classes(tmp_path: Path) -> None:
    regions, objects = [7, 24, 26, 33], [24000, 26001, 28012, 31000, 33999]
    others = [29000, 30000, 23000, 34000, 0]  # caravan, trailer, sky, nothing
    labels = gray(tmp_path / "a.png", [*regions, *others, *objects], dtype=np.uint16)
    assert read_cityscapes(labels).tolist() == [[0] * 9 + objects]
