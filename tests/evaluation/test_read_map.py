"""Maps of every kind of file are read as 8 bit gray, or refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from src.datamodules.images import ImageError
from src.evaluation.read_map import MapFile, full_scale, is_soft, map_size, read_map

GREY = np.tile(np.arange(0, 256, 5, dtype=np.uint8), (20, 1))
MASK = np.where(GREY > 128, 255, 0).astype(np.uint8)


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_grey_is_read_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GREY))
    np.testing.assert_array_equal(read_map(path), GREY)
    assert map_size(path) == GREY.shape


def test_grey_palette_rgb_and_rgba(tmp_path: Path) -> None:
    image = Image.fromarray(GREY)
    for mode in ("P", "RGB", "RGBA"):
        path = save(tmp_path / f"{mode}.png", image.convert(mode))
        np.testing.assert_array_equal(read_map(path), GREY)


def test_one_bit_and_zero_one(tmp_path: Path) -> None:
    one_bit = save(tmp_path / "bit.png", Image.fromarray(MASK).convert("1"))
    zero_one = save(tmp_path / "one.png", Image.fromarray(MASK // 255))
    np.testing.assert_array_equal(read_map(one_bit), MASK)
    np.testing.assert_array_equal(read_map(zero_one), MASK)


def test_sixteen_bit_is_scaled(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), GREY.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_map(path), GREY)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_float_arrays(tmp_path: Path, kind: type) -> None:
    np.save(tmp_path / "a.npy", (GREY / 255).astype(kind))
    np.testing.assert_array_equal(read_map(tmp_path / "a.npy"), GREY)
    assert map_size(tmp_path / "a.npy") == GREY.shape


def test_float_tiff(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tiff", Image.fromarray((GREY / 255).astype(np.float32)))
    np.testing.assert_array_equal(read_map(path), GREY)


def test_byte_and_boolean_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "byte.npy", GREY[None])
    np.save(tmp_path / "bool.npy", MASK > 0)
    np.testing.assert_array_equal(read_map(tmp_path / "byte.npy"), GREY)
    np.testing.assert_array_equal(read_map(tmp_path / "bool.npy"), MASK)


def test_jpeg_ringing_is_soft(tmp_path: Path) -> None:
    disc = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 20, 255, -1)
    path = save(tmp_path / "a.jpg", Image.fromarray(disc), quality=60)
    ringing = read_map(path)
    assert is_soft(ringing)
    assert not is_soft(disc)
    assert ((ringing > 128) == (disc > 128)).mean() > 0.98


def of_set(*paths: Path) -> int | None:
    return full_scale(MapFile(path).scale for path in paths)


def refused(path: Path, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        read_map(path)
    assert str(caught.value).startswith(str(path))


def test_refused_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    refused(save(tmp_path / "photo.png", Image.fromarray(color)), "color")
    np.save(tmp_path / "wide.npy", GREY / 1.0)
    refused(tmp_path / "wide.npy", "float values from 0 to 255")
    np.save(tmp_path / "nan.npy", np.full((4, 4), np.nan))
    refused(tmp_path / "nan.npy", "float values from nan")
    np.save(tmp_path / "labels.npy", GREY.astype(np.int64))
    refused(tmp_path / "labels.npy", "int64")
    np.save(tmp_path / "stack.npy", np.zeros((3, 4, 4)))
    refused(tmp_path / "stack.npy", r"shape \(3, 4, 4\)")
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused(tmp_path / "object.npy", "not a readable array")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "empty file")
    (tmp_path / "text.png").write_text("no image")
    refused(tmp_path / "text.png", "not an image")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), dtype=np.uint8)
    path = save(tmp_path / f"a{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, "damaged")


def test_a_map_in_the_alpha_of_black_is_its_grey_twin(tmp_path: Path) -> None:
    layers = np.dstack([np.zeros((*GREY.shape, 3), np.uint8), GREY])
    path = save(tmp_path / "a.png", Image.fromarray(layers))
    np.testing.assert_array_equal(read_map(path), GREY)


def test_a_truth_is_judged_as_training_judges_masks(tmp_path: Path) -> None:
    """A target of 0 and 2 scored nothing, and the command said it was fine."""
    for name, target, words in (
        ("labels", MASK // 255 * 2, "its brightest value is 2 of 255"),
        ("photo", np.full_like(MASK, 140), "a photograph, not a mask"),
    ):
        path = save(tmp_path / f"{name}.png", Image.fromarray(target))
        with pytest.raises(ImageError, match=rf"{name}\.png: .*{words}"):
            MapFile(path).as_target()
        np.testing.assert_array_equal(read_map(path), target)
    assert not MapFile(save(tmp_path / "none.png", Image.fromarray(MASK * 0))).as_target().any()


def test_one_scale_for_the_maps_of_a_set(tmp_path: Path) -> None:
    ones = save(tmp_path / "a.png", Image.fromarray(MASK // 255))
    black = save(tmp_path / "b.png", Image.fromarray(MASK * 0))
    full = save(tmp_path / "c.png", Image.fromarray(MASK))
    assert of_set(black) is None
    assert of_set(ones, black) == 1
    assert of_set(black, ones, full) == 255
    np.testing.assert_array_equal(read_map(ones, 1), MASK)
    np.testing.assert_array_equal(read_map(ones, 255), MASK // 255)
    assert not read_map(black, 1).any()
    with pytest.raises(ImageError, match=r"a\.png: its brightest value is 1 of 255"):
        MapFile(ones).as_target(255)


def test_sixteen_bit_maps_of_a_set_share_their_scale(tmp_path: Path) -> None:
    dim, full = tmp_path / "dim.png", tmp_path / "full.png"
    cv2.imwrite(str(dim), GREY.astype(np.uint16))
    cv2.imwrite(str(full), GREY.astype(np.uint16) * 257)
    assert of_set(dim) == 255
    assert of_set(dim, full) == 65535
    np.testing.assert_array_equal(read_map(dim, 255), GREY)
    assert read_map(dim, 65535).max() <= 1
