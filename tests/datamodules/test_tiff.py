"""Every layout of TIFF gives the colors that were written, or is refused by name."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from src.datamodules.images import ImageError, decode, header_size, read_image, read_mask
from src.inference.image_file import read_image_file
from tests.datamodules.miniatures import disc, image_file

COLORS = image_file(1)
GRAY = np.ascontiguousarray(COLORS[..., 0])
ALPHA = cv2.GaussianBlur(disc(1), (9, 9), 2)
SHOWN = ALPHA > 0
DEPTHS = {8: (np.uint8, 1), 16: (np.uint16, 257)}


def write(path: Path, samples: np.ndarray, **options: Any) -> Path:
    if options.get("planarconfig") == "separate":
        samples = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
    tifffile.imwrite(path, samples, **options)
    return path


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [8, 16])
def test_colors_and_opacity_in_every_layout(
    tmp_path: Path, bits: int, order: str, planar: str, tile: tuple[int, int] | None
) -> None:
    kind, unit = DEPTHS[bits]
    colors, alpha = COLORS.astype(kind) * kind(unit), ALPHA.astype(kind) * kind(unit)
    layout = {"planarconfig": planar, "tile": tile, "byteorder": order}
    path = write(tmp_path / "rgb.tif", colors, photometric="rgb", **layout)
    assert np.array_equal(read_image_file(path).colors, colors)
    assert np.array_equal(read_image(path), COLORS)
    both = np.dstack([colors, alpha])
    named = {**layout, "photometric": "rgb", "extrasamples": ["unassalpha"]}
    shown = read_image_file(write(tmp_path / "rgba.tif", both, **named))
    assert np.array_equal(shown.opacity, alpha)
    assert np.array_equal(shown.colors[SHOWN], colors[SHOWN])
    assert not shown.colors[~SHOWN].any()
    named["extrasamples"] = ["unspecified"]
    unnamed = read_image_file(write(tmp_path / "rgbx.tif", both, **named))
    assert unnamed.opacity is None
    assert np.array_equal(unnamed.colors, colors)
    assert np.array_equal(unnamed.pixels, COLORS)
    gray = np.dstack([colors[..., 0], alpha])
    named = {**layout, "photometric": "minisblack", "extrasamples": ["unassalpha"]}
    shown = read_image_file(write(tmp_path / "la.tif", gray, **named))
    assert np.array_equal(shown.opacity, alpha)
    assert np.array_equal(shown.colors[SHOWN], np.dstack([gray[..., :1]] * 3)[SHOWN])


@pytest.mark.parametrize("bits", [8, 16])
def test_premultiplied_colors_are_divided_by_their_opacity(tmp_path: Path, bits: int) -> None:
    kind, unit = DEPTHS[bits]
    alpha = ALPHA.astype(np.uint64) * unit
    stored = (COLORS.astype(np.uint64) * unit * alpha[..., None] // (255 * unit)).astype(kind)
    samples = np.dstack([stored, alpha.astype(kind)])
    options = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
    found = read_image_file(write(tmp_path / "a.tif", samples, **options))
    solid = ALPHA == 255
    assert np.abs(found.colors[solid].astype(int) - COLORS[solid].astype(int) * unit).max() <= unit
    soft = (ALPHA > 100) & ~solid
    assert np.abs(found.colors[soft].astype(int) - COLORS[soft].astype(int) * unit).max() <= (
        3 * unit
    )


@pytest.mark.parametrize("bits", [8, 16])
def test_a_negative_is_read_as_its_positive(tmp_path: Path, bits: int) -> None:
    kind, unit = DEPTHS[bits]
    for name, positive in (("image", GRAY), ("mask", disc(1))):
        stored = (255 - positive).astype(kind) * kind(unit)
        write(tmp_path / f"{name}.tif", stored, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "image.tif")[..., 1], GRAY)
    assert np.array_equal(read_mask(tmp_path / "mask.tif"), disc(1))


@pytest.mark.parametrize("bits", [8, 16])
def test_inks_become_colors(tmp_path: Path, bits: int) -> None:
    kind, unit = DEPTHS[bits]
    inks = np.dstack([255 - COLORS, np.zeros_like(GRAY)]).astype(kind) * kind(unit)
    path = write(tmp_path / "a.tif", inks, photometric="separated")
    assert np.abs(read_image(path).astype(int) - COLORS).max() <= 1


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_compressed_without_loss(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    for image in (COLORS, GRAY.astype(np.uint16) * 257):
        Image.fromarray(image).save(path, compression=compression)
        assert np.array_equal(decode(path)[0].values, image)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_with_a_predictor(tmp_path: Path, channels: int) -> None:
    """OpenCV writes LZW with a predictor, and RGBA without naming the fourth channel."""
    deep = np.random.default_rng(0).integers(1, 65536, (30, 40, channels), dtype=np.uint16)
    cv2.imwrite(
        str(tmp_path / "a.tif"), deep if channels < 3 else deep[..., [2, 1, 0, 3][:channels]]
    )
    found = decode(tmp_path / "a.tif")[0]
    if channels == 4:
        assert np.array_equal(found.opacity, deep[..., 3])
    assert np.array_equal(np.atleast_3d(found.values), deep[..., :3])


@pytest.mark.parametrize("tag", range(1, 9))
def test_a_turned_file_is_upright_in_both_readers(tmp_path: Path, tag: int) -> None:
    for name, image in (("common", COLORS), ("deep", COLORS.astype(np.uint16) * 257)):
        options = {"photometric": "rgb", "extratags": [(274, 3, 1, tag, True)]}
        path = write(tmp_path / f"{name}.tif", image, **options)
        assert header_size(path) == read_image(path).shape[:2]
    common, deep = (read_image(tmp_path / f"{name}.tif") for name in ("common", "deep"))
    assert np.array_equal(common, deep)
    assert (common.shape == COLORS.shape) == (tag < 5)


@pytest.mark.parametrize(
    ("kind", "channels", "words"),
    [
        ("float32", 3, "3 channels of 32-bit floats"),
        ("float32", 1, r"pixels of kind 'F' \(32-bit floats\)"),
        ("int16", 1, "signed 16-bit samples"),
        ("int8", 3, "signed 8-bit samples"),
        ("uint32", 1, r"pixels of kind 'I' \(32-bit unsigned integers\)"),
        ("float64", 1, "64-bit samples"),
        ("complex64", 1, "64-bit samples"),
    ],
)
def test_samples_without_a_certain_meaning_are_named(
    tmp_path: Path, kind: str, channels: int, words: str
) -> None:
    samples = (GRAY if channels == 1 else COLORS).astype(kind)
    photometric = "minisblack" if channels == 1 else "rgb"
    path = write(tmp_path / "a.tif", samples, photometric=photometric)
    with pytest.raises(ImageError, match=rf"a\.tif: .*{words}"):
        read_image(path)


@pytest.mark.parametrize("kind", ["int32", "uint32"])
def test_wide_integers_never_wrap(tmp_path: Path, kind: str) -> None:
    """70 000 was read as 70 000 - 65 536."""
    path = write(
        tmp_path / "a.tif", (disc(1) > 0) * np.array(70000, kind), photometric="minisblack"
    )
    with pytest.raises(ImageError, match="32-bit integers from 0 to 70000"):
        read_mask(path)
    write(path, disc(1).astype(kind), photometric="minisblack")
    assert np.array_equal(read_mask(path), disc(1))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_file_cut_short_is_damaged(tmp_path: Path, bits: int) -> None:
    kind, unit = DEPTHS[bits]
    path = write(tmp_path / "a.tif", COLORS.astype(kind) * kind(unit), photometric="rgb")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match="damaged"):
        read_image(path)
    path.write_bytes(path.read_bytes()[:6])
    with pytest.raises(ImageError, match="not an image, or damaged"):
        header_size(path)


def test_pages_are_refused_as_a_mask_and_smaller_copies_are_no_pages(tmp_path: Path) -> None:
    page = disc(1)
    write(tmp_path / "two.tif", np.stack([page, page]), photometric="minisblack")
    with pytest.raises(ImageError, match=r"two\.tif: holds several images; a mask is one"):
        read_mask(tmp_path / "two.tif")
    with tifffile.TiffWriter(tmp_path / "copy.tif") as file:
        file.write(page, photometric="minisblack")
        file.write(page[::2, ::2], photometric="minisblack", subfiletype=1)
    assert np.array_equal(read_mask(tmp_path / "copy.tif"), page)
