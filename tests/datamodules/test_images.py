"""Every common file kind is read correctly, or refused by name."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from src.datamodules.images import (
    ImageError,
    header_size,
    read_image,
    read_mask,
)
from tests.datamodules.miniatures import disc, photo

PHOTO = photo(1)
DISC = disc(1)
WHITE_CENTRE = DISC > 0


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("extension", ["png", "bmp", "tif", "webp"])
def test_lossless_images_come_back(tmp_path: Path, extension: str) -> None:
    options = {"lossless": True} if extension == "webp" else {}
    path = save(tmp_path / f"a.{extension}", Image.fromarray(PHOTO), **options)
    np.testing.assert_array_equal(read_image(path), PHOTO)
    assert header_size(path) == PHOTO.shape[:2]


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "JPG"])
def test_jpeg_comes_back_nearly(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(PHOTO).save(path, format="JPEG", quality=98)
    assert np.abs(read_image(path).astype(int) - PHOTO).mean() < 2


def test_non_ascii_path(tmp_path: Path) -> None:
    path = save(tmp_path / "собака 犬.png", Image.fromarray(PHOTO))
    np.testing.assert_array_equal(read_image(path), PHOTO)


def test_grey_image_becomes_rgb(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(DISC))
    np.testing.assert_array_equal(read_image(path), np.repeat(DISC[..., None], 3, axis=2))


def test_palette_and_one_bit_images(tmp_path: Path) -> None:
    palette = Image.fromarray(PHOTO).quantize(64)
    path = save(tmp_path / "p.png", palette)
    np.testing.assert_array_equal(read_image(path), np.asarray(palette.convert("RGB")))
    path = save(tmp_path / "1.png", Image.fromarray(DISC).convert("1"))
    np.testing.assert_array_equal(read_image(path)[..., 1], DISC)


def test_transparency_shows_white(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(np.dstack([PHOTO, DISC])))
    image = read_image(path)
    np.testing.assert_array_equal(image[WHITE_CENTRE], PHOTO[WHITE_CENTRE])
    assert (image[~WHITE_CENTRE] == 255).all()


def test_sixteen_bit_is_scaled(tmp_path: Path) -> None:
    deep = DISC.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "grey.png"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png")[..., 0], DISC)
    np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), DISC)
    cv2.imwrite(str(tmp_path / "colour.png"), PHOTO[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "colour.png"), PHOTO)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(PHOTO).convert("CMYK"), quality=98)
    assert np.abs(read_image(path).astype(int) - PHOTO).mean() < 3


def test_float_image_is_refused_by_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(DISC.astype(np.float32)))
    with pytest.raises(ImageError, match=r"a\.tif: pixels of kind 'F'"):
        read_image(path)
    with pytest.raises(ImageError, match=r"a\.tif: a mask of kind 'F'"):
        read_mask(path)


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png"])
def test_exif_turns_image_and_mask_alike(tmp_path: Path, tag: int, extension: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"quality": 98} if extension == "jpg" else {}
    path = save(tmp_path / f"a.{extension}", Image.fromarray(DISC), exif=exif, **options)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_mask(path), upright)
    np.testing.assert_array_equal(read_image(path)[..., 0], upright)
    assert header_size(path) == upright.shape


def test_masks_of_other_kinds(tmp_path: Path) -> None:
    ones = (DISC > 0).astype(np.uint8)
    label = Image.fromarray(ones).convert("P")
    label.putpalette([0, 0, 0, 128, 0, 0])
    masks = {
        "one_bit": Image.fromarray(DISC).convert("1"),
        "zeros_and_ones": Image.fromarray(ones),
        "two_labels": label,
        "rgb": Image.fromarray(np.repeat(DISC[..., None], 3, axis=2)),
        "white_on_nothing": Image.fromarray(np.dstack([np.full_like(PHOTO, 255), DISC])),
        "sixteen_bit_small": Image.fromarray(DISC.astype(np.uint16)),
    }
    for name, mask in masks.items():
        read = read_mask(save(tmp_path / f"{name}.png", mask))
        np.testing.assert_array_equal(read, DISC, name)
        assert read.flags.writeable, "torch takes no read-only arrays"


def test_soft_masks_stay_soft(tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(DISC, (9, 9), 2)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", Image.fromarray(soft))), soft)


def test_label_maps_and_cut_outs_are_no_masks(tmp_path: Path) -> None:
    labels = Image.fromarray((DISC > 0).astype(np.uint8) * 2).convert("P")
    labels.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    cut_out = Image.fromarray(np.dstack([PHOTO, DISC]))
    for name, image in (("labels", labels), ("cut_out", cut_out)):
        with pytest.raises(ImageError, match=rf"{name}\.png: in colour"):
            read_mask(save(tmp_path / f"{name}.png", image))


def test_unreadable_files_name_themselves(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not an image")
    whole = save(tmp_path / "whole.jpg", Image.fromarray(photo(2, 200, 200)), quality=95)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:3000])
    whole = save(tmp_path / "whole.png", Image.fromarray(photo(2, 200, 200)))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(ImageError, match=r"empty\.jpg: empty file \(0 bytes\)"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match=r"text\.png: not an image"):
        read_mask(tmp_path / "text.png")
    with pytest.raises(ImageError, match=r"gone\.png: .*No such file"):
        read_image(tmp_path / "gone.png")
    for name in ("cut.jpg", "cut.png"):
        for read in (read_image, read_mask):
            with pytest.raises(ImageError, match=rf"{name}: damaged"):
                read(tmp_path / name)


def test_reduced_decode_stops_at_the_size_needed(tmp_path: Path) -> None:
    big = cv2.resize(PHOTO, (640, 480), interpolation=cv2.INTER_CUBIC)
    path = save(tmp_path / "a.jpg", Image.fromarray(big), quality=98)
    assert read_image(path).shape == (480, 640, 3)
    reduced = read_image(path, at_least=(100, 100))
    assert reduced.shape == (120, 160, 3)
    smaller = cv2.resize(big, (160, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - smaller).mean() < 2
    assert read_image(path, at_least=(400, 100)).shape == (480, 640, 3)
