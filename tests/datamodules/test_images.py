"""Every common file kind is read correctly, or refused by name."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

from src.datamodules.images import ImageError, decode, header_size, read_image, read_mask
from src.datamodules.pair_inspection import inspect
from src.datamodules.pairs import ImageMaskPair
from src.errors import UserError
from src.inference.image_file import read_image_file
from tests.datamodules.miniatures import disc, image_file

PHOTO = image_file(1)
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


@pytest.mark.parametrize(
    ("goods", "backdrop"), [((20, 20), 255), ((120, 120), 255), ((250, 250), 0), ((20, 250), 128)]
)
def test_transparency_shows_what_the_visible_differs_from(
    tmp_path: Path, goods: tuple[int, int], backdrop: int
) -> None:
    """White goods cut out on nothing are not judged on white."""
    rows = np.array(goods, np.uint8)[np.arange(len(DISC)) % 2]
    shades = np.broadcast_to(rows[:, None, None], PHOTO.shape)
    path = save(tmp_path / "a.png", Image.fromarray(np.dstack([shades, DISC])))
    image = read_image(path)
    np.testing.assert_array_equal(image[WHITE_CENTRE], shades[WHITE_CENTRE])
    assert (image[~WHITE_CENTRE] == backdrop).all()


def layered(alpha: np.ndarray, hidden: int) -> np.ndarray:
    colors = np.where(alpha[..., None] > 0, PHOTO, hidden).astype(np.uint8)
    return np.dstack([colors, alpha])


@pytest.mark.parametrize("kind", ["png", "webp", "tif", "deep.png", "deep.tif"])
def test_colours_that_are_hidden_change_nothing(tmp_path: Path, kind: str) -> None:
    alpha = cv2.GaussianBlur(DISC, (9, 9), 2)
    for hidden in (0, 77, 255):
        layers, path = layered(alpha, hidden), tmp_path / f"{hidden}.{kind}"
        if "deep" in kind:
            deep = cv2.cvtColor(layers.astype(np.uint16) * 257, cv2.COLOR_RGBA2BGRA)
            cv2.imwrite(str(path), deep)
        else:
            options = {"lossless": True, "exact": True} if kind == "webp" else {}
            save(path, Image.fromarray(layers), **options)
    seen = [read_image(tmp_path / f"{hidden}.{kind}") for hidden in (0, 77, 255)]
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])
    expected = read_image(save(tmp_path / "eight.png", Image.fromarray(layered(alpha, 9))))
    np.testing.assert_array_equal(seen[0], expected)


def test_transparency_of_every_kind(tmp_path: Path) -> None:
    palette = Image.fromarray(DISC // 255).convert("P")
    palette.putpalette([9, 9, 9, 40, 60, 80])
    layers = Image.fromarray(np.dstack([DISC // 2, DISC]), "LA")
    files = [
        save(tmp_path / "palette.png", palette, transparency=0),
        save(tmp_path / "palette.gif", palette, transparency=0),
        save(tmp_path / "key.png", Image.fromarray(DISC), transparency=0),
        save(tmp_path / "la.png", layers),
        save(tmp_path / "pixels.avif", Image.fromarray(layered(DISC, 0)), quality=100),
    ]
    for path in files:
        opacity = decode(path)[0].opacity
        assert opacity is not None, path
        np.testing.assert_array_equal(opacity, DISC, str(path))


def test_what_is_evenly_sheer_is_seen_in_its_own_colours(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(layered(np.full_like(DISC, 128), 0)))
    np.testing.assert_array_equal(read_image(path), PHOTO)


def test_a_file_that_is_opaque_all_over_is_as_one_without_alpha(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(layered(np.full_like(DISC, 255), 0)))
    assert decode(path)[0].opacity is None
    np.testing.assert_array_equal(read_image(path), PHOTO)


@pytest.mark.parametrize("color", [0, 255, (200, 30, 30)])
@pytest.mark.parametrize("hidden", [0, 255])
def test_a_shape_of_one_colour_on_nothing_is_masked_by_its_alpha(
    tmp_path: Path, color: int | tuple[int, int, int], hidden: int
) -> None:
    soft = cv2.GaussianBlur(DISC, (9, 9), 2)
    layers = np.full((*DISC.shape, 4), hidden, np.uint8)
    layers[..., 3] = soft
    layers[soft > 0, :3] = color
    path = save(tmp_path / "a.png", Image.fromarray(layers))
    np.testing.assert_array_equal(read_mask(path), soft)


def test_a_mask_that_is_stored_in_grey_and_in_alpha_is_not_squared(tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(DISC, (9, 9), 2)
    path = save(tmp_path / "a.png", Image.fromarray(np.dstack([soft] * 4)))
    np.testing.assert_array_equal(read_mask(path), soft)
    path = save(tmp_path / "b.png", Image.fromarray(np.dstack([soft] * 3 + [soft * 0 + 255])))
    np.testing.assert_array_equal(read_mask(path), soft)


def test_numbers_of_classes_are_no_mask(tmp_path: Path) -> None:
    """A target of 0 and 2 scored nothing without a word."""
    path = save(tmp_path / "a.png", Image.fromarray(DISC // 255 * 2))
    with pytest.raises(ImageError, match=r"a\.png: its brightest value is 2 of 255"):
        read_mask(path)


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.png", Image.fromarray(PHOTO), exif=exif)
    data = path.read_bytes()
    at = data.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    moved = data[:at] + data[end:-12] + data[at:end] + data[-12:]
    (tmp_path / "late.png").write_bytes(moved)
    np.testing.assert_array_equal(read_image(tmp_path / "late.png"), read_image(path))
    assert header_size(tmp_path / "late.png") == (PHOTO.shape[1], PHOTO.shape[0])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "deep.png", "deep.tif", "rgba.png", "a.jpg"])
def test_every_file_is_decoded_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.dstack([PHOTO, DISC]) if "rgba" in name else PHOTO
    if "deep" in name:
        cv2.imwrite(str(tmp_path / name), image.astype(np.uint16) * 257)
    else:
        Image.fromarray(image).save(tmp_path / name)
    Image.fromarray(DISC).save(tmp_path / "mask.png")
    decoded: list[str] = []
    imdecode, load = cv2.imdecode, ImageFile.ImageFile.load
    load_tiff = TiffImagePlugin.TiffImageFile._load_libtiff

    def counted_imdecode(*args: Any) -> Any:
        decoded.append("OpenCV")
        return imdecode(*args)

    def counted_load(image: ImageFile.ImageFile) -> Any:
        if image.tile:  # else its pixels are there already
            decoded.append("Pillow")
        return load(image)

    def counted_tiff(image: TiffImagePlugin.TiffImageFile) -> Any:
        decoded.append("libtiff")
        return load_tiff(image)

    monkeypatch.setattr(cv2, "imdecode", counted_imdecode)
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "_load_libtiff", counted_tiff)
    monkeypatch.setattr(ImageFile.ImageFile, "load", counted_load)
    read_image_file(tmp_path / name)
    assert len(decoded) == 1
    inspect(ImageMaskPair("a", tmp_path / name, tmp_path / "mask.png"))
    assert len(decoded) == 3, "the image again, and its mask"


def test_an_image_above_the_limit_says_how_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # put back afterwards
    for name in ("a.png", "a.tif"):
        path = save(tmp_path / name, Image.fromarray(PHOTO))
        monkeypatch.setenv("FINECUT_MAX_MEGAPIXELS", "0.001")
        for read in (read_image, read_mask, header_size, read_image_file):
            with pytest.raises(ImageError, match=rf"{name}: .*FINECUT_MAX_MEGAPIXELS"):
                read(path)
        monkeypatch.setenv("FINECUT_MAX_MEGAPIXELS", "0.01")
        np.testing.assert_array_equal(read_image(path), PHOTO)
    for wrong in ("many", "0", "-3", "nan"):
        monkeypatch.setenv("FINECUT_MAX_MEGAPIXELS", wrong)
        with pytest.raises(UserError, match=f"FINECUT_MAX_MEGAPIXELS is '{wrong}'"):
            read_image(path)


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
        with pytest.raises(ImageError, match=rf"{name}\.png: in color"):
            read_mask(save(tmp_path / f"{name}.png", image))


def test_unreadable_files_name_themselves(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not an image")
    whole = save(tmp_path / "whole.jpg", Image.fromarray(image_file(2, 200, 200)), quality=95)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:3000])
    whole = save(tmp_path / "whole.png", Image.fromarray(image_file(2, 200, 200)))
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
