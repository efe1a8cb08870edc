"""The Python API takes an image in every usual form, and says which where it does not."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from src.errors import UserError
from tests.inference.tiny import finder, red_on_blue

IMAGE, _ = red_on_blue(20, 30)


def file_bytes(kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(IMAGE).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, io.BytesIO])
def test_the_bytes_of_a_file_are_read_as_the_file_is(
    tmp_path: Path, kind: str, wrap: Callable[[bytes], Any]
) -> None:
    path = tmp_path / "image"
    path.write_bytes(file_bytes(kind))
    assert np.array_equal(finder().mask(wrap(file_bytes(kind))), finder().mask(path))


def test_an_open_file_and_a_tensor_are_images(tmp_path: Path) -> None:
    expected = finder().mask(IMAGE)
    path = tmp_path / "a.png"
    Image.fromarray(IMAGE).save(path)
    with path.open("rb") as file:
        assert np.array_equal(finder().mask(file), expected)
    tensor = torch.from_numpy(IMAGE).permute(2, 0, 1)
    assert np.array_equal(finder().mask(tensor), expected)
    assert np.array_equal(finder().mask(tensor.contiguous()), expected)
    gray = torch.full((1, 9, 12), 200, dtype=torch.uint8)
    assert finder().mask(gray).shape == (9, 12)


@pytest.mark.parametrize("make", [np.asfortranarray, lambda a: a[::-1, ::-1][::-1, ::-1]])
def test_layouts_of_an_array_do_not_matter(make: Callable[[np.ndarray], np.ndarray]) -> None:
    frozen = make(IMAGE)
    frozen.flags.writeable = False
    assert np.array_equal(finder().mask(frozen), finder().mask(IMAGE))


def test_lists_of_any_length_and_batches(tmp_path: Path) -> None:
    one = finder().mask(IMAGE)
    assert finder().masks([]) == []
    batch = np.stack([IMAGE] * 3)
    for several in ((IMAGE,), batch, torch.from_numpy(batch).permute(0, 3, 1, 2), iter([IMAGE])):
        for found in finder().masks(several):
            assert np.array_equal(found, one)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "not a NoneType"),
        (5, "not a int"),
        ("", "not an empty text"),
        ([IMAGE], "not a list"),
        (io.StringIO("text"), "not a StringIO"),
        (b"", "an image of 0 bytes"),
        (b"no image", "an image of 8 bytes"),
        (file_bytes()[:400], "an image of 400 bytes"),
        (np.zeros((4, 4, 3), np.float32), "multiply values from 0 to 1 by 255"),
        (np.zeros((4, 4, 4), np.uint8), "fromarray"),
        (torch.zeros(3, 4, 4), "uint8 .3, H, W.*not float32"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), "channels first"),
        (Image.open(io.BytesIO(file_bytes("PNG")[:-40])), "cannot be decoded"),
        (Path("nowhere.jpg"), "nowhere.jpg"),
    ],
)
def test_what_is_no_image_is_said(image: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        finder().mask(image)


@pytest.mark.parametrize(
    "images", ["photo.jpg", Path("photo.jpg"), b"x", IMAGE, Image.fromarray(IMAGE), None, {}]
)
def test_one_image_is_no_list(images: Any) -> None:
    with pytest.raises(UserError, match="masks takes a list of images"):
        finder().masks(images)
