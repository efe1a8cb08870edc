"""HEIC, AVIF and JPEG XL are read as a JPEG of the same photo is."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from src.datamodules import file_kinds
from src.datamodules.file_kinds import IMAGE_KINDS, load_plugin
from src.datamodules.images import EXTENSIONS, ImageError, decode, read_header, read_image
from src.datamodules.jpeg_xl import jxl_size
from src.inference.image_file import read_image_file
from tests.inference.tiny import red_on_blue

pytest.importorskip("pillow_heif")
pytest.importorskip("pillow_jxl")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PHOTO = Image.fromarray(red_on_blue(48, 64)[0])


@pytest.fixture(autouse=True)
def plugins() -> None:
    """Pillow writes these kinds too, once it reads them."""
    for kind in IMAGE_KINDS.values():
        load_plugin(kind)


def turned_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    return exif.tobytes()


def as_jxl(jpeg: Path, path: Path, *, keep_jpeg: bool) -> Path:
    """A JPEG in a JPEG XL file, as it is; without what restores it, a plain JPEG XL image."""
    with Image.open(jpeg) as image:
        image.save(path, lossless_jpeg=True)
    data, at, kept = path.read_bytes(), 0, b""
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0] or len(data) - at
        if keep_jpeg or data[at + 4 : at + 8] != b"jbrd":
            kept += data[at : at + length]
        at += length
    path.write_bytes(kept)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_the_jpeg(tmp_path: Path, orientation: int) -> None:
    exif = turned_exif(orientation)
    PHOTO.save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    PHOTO.save(tmp_path / "a.heic", quality=98, exif=exif)
    PHOTO.save(tmp_path / "a.avif", quality=98, exif=exif)
    as_jxl(tmp_path / "a.jpg", tmp_path / "a.jxl", keep_jpeg=True)
    as_jxl(tmp_path / "a.jpg", tmp_path / "b.jxl", keep_jpeg=False)
    right = read_image(tmp_path / "a.jpg").astype(int)
    for name in ("a.heic", "a.avif", "a.jxl", "b.jxl"):
        found = read_image(tmp_path / name)
        assert found.shape == right.shape, name
        assert np.abs(found - right).mean() < 5, name
        assert read_header(tmp_path / name).size == right.shape[:2]


@pytest.mark.parametrize("suffix", [".heic", ".avif", ".jxl"])
def test_what_a_photo_carries_is_known(tmp_path: Path, suffix: str) -> None:
    PHOTO.save(tmp_path / f"a{suffix}", icc_profile=PROFILE, exif=turned_exif(6))
    image_file = read_image_file(tmp_path / f"a{suffix}")
    assert image_file.profile is not None
    assert image_file.profile[16:20] == b"RGB "
    exif = Image.Exif()
    exif.load(image_file.exif or b"")
    assert (exif[0x010F], exif.get(0x0112, 1)) == ("Maker", 1)
    assert suffix in EXTENSIONS


def test_transparency_and_gray(tmp_path: Path) -> None:
    alpha = red_on_blue(48, 64)[1]
    layers = Image.fromarray(np.dstack([red_on_blue(48, 64)[0], alpha]))
    layers.save(tmp_path / "a.heic", quality=100)
    layers.save(tmp_path / "a.jxl", lossless=True)
    for name in ("a.heic", "a.jxl"):
        opacity = decode(tmp_path / name)[0].opacity
        assert opacity is not None
        assert np.abs(opacity.astype(int) - alpha).mean() < 3, name
    Image.fromarray(alpha).save(tmp_path / "g.jxl", lossless=True)
    assert np.array_equal(decode(tmp_path / "g.jxl")[0].values, alpha)


@pytest.mark.parametrize("name", ["a.heic", "a.avif", "a.jxl"])
@pytest.mark.parametrize("share", [0.0005, 0.5, 0.95])
def test_a_file_that_is_cut_short_is_one_line(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    PHOTO.save(path)
    data = path.read_bytes()
    path.write_bytes(data[: max(20, int(len(data) * share))])
    with pytest.raises(ImageError) as caught:
        decode(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "damaged" in text or "Truncated" in text


def test_without_its_package_a_kind_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PHOTO.save(tmp_path / "phone.jpg", "HEIF")  # known by what is in it
    monkeypatch.setattr(file_kinds, "_is_installed", lambda module: False)
    load_plugin.cache_clear()
    with pytest.raises(ImageError) as caught:
        decode(tmp_path / "phone.jpg")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'phone.jpg'}: a HEIC image needs pillow_heif: pip install")
    assert "\n" not in text


@pytest.mark.parametrize("size", [(8, 8), (257, 300), (1200, 900), (100, 7)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_a_jpeg_xl_image_is_in_its_first_bytes(
    tmp_path: Path, size: tuple[int, int], container: bool
) -> None:
    path = tmp_path / "a.jxl"
    Image.new("L", size).save(path, use_container=container, effort=1)
    assert jxl_size(path.read_bytes()) == size[::-1]


def test_a_small_file_with_a_huge_image_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jxl"
    Image.new("L", (1000, 500)).save(path, effort=1)
    monkeypatch.setenv("FINECUT_MAX_MEGAPIXELS", "0.3")
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ImageError, match=r"1000×500 pixels, more than 0\.3 megapixels"):
        decode(path)
