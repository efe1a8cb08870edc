"""Every kind of image becomes the same uint8 RGB, or is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.errors import UserError
from src.inference.image_input import as_seen
from tests.inference.tiny import red_on_blue

IMAGE, _ = red_on_blue(20, 30)


def test_array_pillow_and_path_are_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(IMAGE).save(path)
    for image in (IMAGE, Image.fromarray(IMAGE), path, str(path)):
        found = as_seen(image).pixels
        assert found.dtype == np.uint8
        assert np.array_equal(found, IMAGE)


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    assert np.array_equal(as_seen("~/a.png").pixels, IMAGE)


def test_a_grey_array_becomes_rgb() -> None:
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(as_seen(gray).pixels, np.stack([gray] * 3, axis=2))


def test_a_mirrored_array_is_laid_out_anew() -> None:
    """OpenCV and torch take no negative strides."""
    mirrored = as_seen(IMAGE[:, ::-1]).pixels
    assert mirrored.flags.c_contiguous
    assert np.array_equal(mirrored, IMAGE[:, ::-1])


@pytest.mark.parametrize("turned", [1, 3, 6, 8])
def test_pillow_and_path_are_turned_alike(tmp_path: Path, turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / "a.png"
    Image.fromarray(IMAGE).save(path, exif=exif)
    with Image.open(path) as image:
        found = as_seen(image).pixels
    assert found.shape == ((20, 30, 3) if turned in (1, 3) else (30, 20, 3))
    assert np.array_equal(found, as_seen(path).pixels)


def layered(mode: str) -> Image.Image:
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, 15:] = 255
    image = Image.fromarray(np.dstack([IMAGE, alpha]))
    if mode == "P":
        palette = Image.fromarray(alpha // 255, "P")
        palette.putpalette([9, 9, 9, 200, 10, 20])
        palette.info["transparency"] = 0
        return palette
    return image.convert(mode)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_white(tmp_path: Path, mode: str) -> None:
    image = layered(mode)
    found = as_seen(image).pixels
    assert (found[:, :15] == 255).all()
    assert not (found[:, 15:] == 255).all(axis=2).any()
    image.save(tmp_path / "a.png")
    assert np.array_equal(found, as_seen(tmp_path / "a.png").pixels)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_kinds_of_pillow_are_converted(mode: str) -> None:
    image = Image.fromarray(IMAGE).convert(mode)
    assert np.array_equal(as_seen(image).pixels, np.asarray(image.convert("RGB")))


def test_16_bit_is_scaled_to_8_as_it_is_of_a_file(tmp_path: Path) -> None:
    deep = (np.arange(600, dtype=np.uint16) * 109).reshape(20, 30)
    image = Image.fromarray(deep)
    image.save(tmp_path / "a.png")
    found = as_seen(image).pixels
    assert (found.min(), found.max()) == (0, 254)
    assert np.array_equal(found, as_seen(tmp_path / "a.png").pixels)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_pillows_without_a_certain_8_bit_form_are_refused(mode: str) -> None:
    with pytest.raises(UserError, match=f"a Pillow image of kind '{mode}'"):
        as_seen(Image.new(mode, (4, 4)))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 3), bool), "bool"),
        (np.zeros((4, 4, 4), np.uint8), "3 channels"),
        (np.zeros((4, 4, 1), np.uint8), "not 1"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"\(2, 4, 4, 3\)"),
        ("nowhere.jpg", "nowhere.jpg"),
    ],
)
def test_what_is_no_picture(image: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        as_seen(image)
