"""What a browser may send, and what it is told if it may not."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from src.errors import UserError
from src.webapp.uploads import Limits, TooLargeError, UploadError, display_name, read_upload
from tests.webapp.guided import LIMITS, encoded, two_reds


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size and holds next to nothing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(50))
    chunks = (
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_reads_what_cameras_and_tools_write(kind: str) -> None:
    image, labels = two_reds()
    image_file = read_upload(encoded(image, kind), "a", LIMITS)
    assert image_file.pixels.shape == image.shape
    assert np.abs(image_file.pixels[35, 40].astype(int) - image[35, 40]).max() < 12
    assert labels[35, 40] == 1


def test_pixels_are_upright() -> None:
    image, _ = two_reds()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image_file = read_upload(encoded(image, "JPEG", exif=exif), "a.jpg", LIMITS)
    assert image_file.pixels.shape == (160, 90, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (encoded(two_reds()[0], "PPM"), "not an image"),
        (encoded(two_reds()[0], "JPEG")[:900], "damaged"),
        (encoded(np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8))[:4000], "dam"),
        (png_header(40, 40), "damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), "not an image"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(data: bytes, words: str) -> None:
    with pytest.raises(UploadError) as caught:
        read_upload(data, "holiday.jpg", LIMITS)
    message = str(caught.value)
    assert message.startswith("holiday.jpg: ")
    assert words in message
    assert "upload." not in message  # no path of the server


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (12_000, 9_000), (60_000, 60_000)])
def test_a_small_file_with_a_huge_picture_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(TooLargeError, match="limit here"):
        read_upload(png_header(width, height), "bomb.png", LIMITS)


def test_a_large_file_is_refused() -> None:
    with pytest.raises(TooLargeError, match="larger than 2 MB"):
        read_upload(bytes(2_000_001), "a.jpg", LIMITS)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_limits(value: float) -> None:
    with pytest.raises(UserError, match="max_megapixels"):
        Limits(value, 10)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("a\nb\x00c.png", "abc.png"),
        ("", "picture"),
        ("folder/", "picture"),
        ("Bär 2.jpg", "Bär 2.jpg"),
        ("x" * 300 + ".jpg", "x" * 96 + ".jpg"),
    ],
)
def test_names_are_for_reading_only(name: str, shown: str) -> None:
    assert display_name(name) == shown
