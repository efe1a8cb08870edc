"""What a photo carries is kept: orientation, profile, depth, format."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from src.datamodules.images import ImageError
from src.inference.image_file import read_image_file, write_image_file
from tests.inference.tiny import red_on_blue, save_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_format_profile_and_orientation(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    path = save_picture(tmp_path / f"a{suffix}", icc_profile=PROFILE, exif=exif)
    image_file = read_image_file(path)
    assert image_file.pixels.shape == (120, 90, 3)
    target = tmp_path / "out" / f"a{image_file.suffix(alpha=False)}"
    write_image_file(target, image_file.pixels, image_file)
    with Image.open(target) as written, Image.open(path) as original:
        assert written.format == original.format
        assert written.size == (90, 120)
        assert written.info["icc_profile"] == PROFILE
        assert written.getexif().get(0x0112, 1) == 1
        assert written.getexif()[0x010F] == "Maker"
    assert not list(target.parent.glob(".*"))


def test_a_phones_jpeg_stays_a_jpeg(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Phones put a second image behind the first and call it MPO."""
    first, second = (Image.fromarray(red_on_blue(30, width)[0]) for width in (40, 20))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    image_file = read_image_file(tmp_path / "a.jpg")
    assert image_file.pixels.shape == (30, 40, 3)
    assert image_file.suffix(alpha=False) == ".jpg"
    assert not caplog.records


def test_further_pages_are_said_to_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pages = [Image.fromarray(red_on_blue()[0])] * 3
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    read_image_file(tmp_path / "a.tif")
    assert "a.tif: holds several images; only the first is read" in caplog.text


def test_tiff_keeps_its_profile(tmp_path: Path) -> None:
    image_file = read_image_file(save_picture(tmp_path / "a.tif", icc_profile=PROFILE))
    write_image_file(tmp_path / "b.tif", image_file.pixels, image_file)
    with Image.open(tmp_path / "b.tif") as written:
        assert written.info["icc_profile"] == PROFILE
        assert np.array_equal(np.asarray(written), image_file.pixels)


@pytest.mark.parametrize("profile", [None, PROFILE])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, profile: bytes | None, channels: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    image_file = read_image_file(tmp_path / "a.png")
    assert np.array_equal(image_file.colors, deep)
    assert image_file.pixels.dtype == np.uint8
    values = np.dstack([deep, deep[..., 0]])[..., :channels]
    object.__setattr__(image_file, "profile", profile)
    write_image_file(tmp_path / "b.png", values, image_file)
    back = cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(back[..., :3][..., ::-1], deep)
    with Image.open(tmp_path / "b.png") as written:
        assert written.info.get("icc_profile") == profile


def test_sixteen_bit_grey_and_alpha(tmp_path: Path) -> None:
    gray = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    cv2.imwrite(str(tmp_path / "g.png"), gray)
    assert np.array_equal(read_image_file(tmp_path / "g.png").colors[..., 1], gray)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([gray, gray, gray, gray[::-1]]))
    image_file = read_image_file(tmp_path / "a.png")
    assert np.array_equal(image_file.opacity, gray[::-1])
    assert np.array_equal(image_file.colors[..., 0], np.where(gray[::-1] > 0, gray, 0))


def test_cmyk_loses_a_profile_that_is_no_longer_true(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 6), (0, 255, 255, 0)).save(
        tmp_path / "a.jpg", icc_profile=b"\0" * 16 + b"CMYK" + b"\0" * 108
    )
    image_file = read_image_file(tmp_path / "a.jpg")
    assert image_file.profile is None
    assert image_file.suffix(alpha=False) == ".jpg"


@pytest.mark.parametrize(
    ("name", "opaque", "alpha"),
    [("a.jpg", ".jpg", ".png"), ("a.JPEG", ".jpeg", ".png"), ("a.bmp", ".bmp", ".png"),
     ("a.webp", ".webp", ".webp"), ("a.gif", ".png", ".png")],
)  # fmt: skip
def test_suffixes(tmp_path: Path, name: str, opaque: str, alpha: str) -> None:
    image_file = read_image_file(save_picture(tmp_path / name))
    assert (image_file.suffix(alpha=False), image_file.suffix(alpha=True)) == (opaque, alpha)


def test_a_wrong_suffix_is_corrected(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.jpg").rename(tmp_path / "a.png")
    assert read_image_file(tmp_path / "a.png").suffix(alpha=False) == ".jpg"


def test_transparency_is_written(tmp_path: Path) -> None:
    image, mask = red_on_blue()
    write_image_file(tmp_path / "a.png", np.dstack([image, mask]))
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "RGBA"


def test_what_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no")
    with pytest.raises(ImageError, match=r"a\.jpg"):
        read_image_file(tmp_path / "a.jpg")
