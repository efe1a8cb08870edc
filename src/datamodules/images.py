"""Reading images and masks as 8-bit arrays, the right way up, whatever the file holds.

OpenCV decodes the plain cases, which are nearly all; Pillow decodes palettes, transparency, CMYK
and, with packages of their own, HEIC and JPEG XL; `tiff.py` reads what of TIFF neither reads right.
Each file is decoded once. A file whose meaning is not certain is refused by name, not guessed.
"""

import io
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image

from src.datamodules.file_kinds import IMAGE_KINDS
from src.datamodules.mask_levels import Scale, not_a_mask, scale_of, scaled
from src.datamodules.open_image import ImageError, beyond_limit, in_a_line, open_image
from src.datamodules.raster import (
    KindError,
    Raster,
    colors_of,
    keyed,
    levels_of,
    raster,
    raster_of,
    seen,
    turned,
)
from src.datamodules.tiff import MAGIC, TiffLayout, read_layout, read_tiff

EXTENSIONS = frozenset(
    suffix for kind in IMAGE_KINDS.values() if kind.in_sets for suffix in kind.suffixes
)
_ORIENTATION_TAG = 0x0112
# What OpenCV decodes as Pillow does, and sooner.
_FAST_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "WEBP")
_JPEG = ("JPEG", "MPO")
# OpenCV names no reduced RGB; its flags are a reduction, named for gray, and a color order.
_REDUCED_FLAGS = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error)


class Header(NamedTuple):
    """What is known of a file before its pixels are decoded.

    size: Height and width after the EXIF turn.
    format: Pillow's name of the format; JPEG for a phone's JPEG with further images behind it.
    orientation: The EXIF orientation, 1 (upright) to 8.
    several: Whether it holds further images (pages, frames) that are none of a JPEG's.
    profile: ICC profile.
    exif: EXIF block.
    """

    size: tuple[int, int]
    format: str
    orientation: int = 1
    several: bool = False
    profile: bytes | None = None
    exif: Image.Exif | None = None


def read_image(
    path: Path, at_least: tuple[int, int] | None = None, content: bytes | None = None
) -> np.ndarray:
    """Read uint8 RGB `(H, W, 3)`, turned by its EXIF orientation.

    Transparency is composed as `raster.seen` says; 16 bit is scaled to 8; CMYK is converted
    without its color profile. Of a file with several pages the first is read.

    Args:
        path: A file with one of `EXTENSIONS`.
        at_least: A JPEG is decoded at 1/2, 1/4 or 1/8 of its size as long as neither side falls
            below this (height, width). Faster, but pixels differ from a full decode and resize.
        content: The file's bytes, where they do not lie in a file of their own.

    Raises:
        ImageError: Empty, damaged or not an image, or a kind that has no certain 8-bit form.
    """
    decoded, _ = decode(path, at_least, content)
    try:
        return seen(colors_of(decoded), decoded.opacity)
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None


def read_mask(
    path: Path, scale: int | None = None, soft: bool = False, content: bytes | None = None
) -> np.ndarray:
    """Read a uint8 foreground mask `(H, W)`, 255 = foreground, turned by its EXIF orientation.

    One-bit masks and masks of zeros and ones are stretched to 0 and 255. Of a colored palette
    with two entries the second is the foreground. A shape of one color on nothing is masked by
    its alpha channel.

    Args:
        path: A file with one of `EXTENSIONS`.
        scale: Full scale of the levels of its set, 1, 255 or 65535; None for the file's own.
        soft: It is a matte, whose levels are alpha.
        content: The file's bytes, where they do not lie in a file of their own.

    Raises:
        ImageError: Empty, damaged, in color, of several pages, or a label map of several
            instances or classes.
    """
    judged = judge_mask(path, scale, soft, content)
    if judged.fault is not None:
        raise ImageError(f"{path}: {judged.fault}")
    return judged.mask


class Judged(NamedTuple):
    """A mask file's pixels, what its levels say of their scale, and why it is no mask, if so."""

    mask: np.ndarray
    scale: Scale | None
    fault: str | None


def judge_mask(
    path: Path, scale: int | None = None, soft: bool = False, content: bytes | None = None
) -> Judged:
    """Read a file as `read_mask` does and judge whether it is a mask, without refusing it."""
    levels, header = read_levels(path, content)
    try:
        mask = scaled(levels, scale)
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None
    fault = not_a_mask(mask, jpeg=header.format == "JPEG", soft=soft)
    # torch takes no read-only arrays
    return Judged(np.require(mask, requirements=["C", "W"]), scale_of(levels), fault)


def read_levels(path: Path, content: bytes | None = None) -> tuple[np.ndarray, Header]:
    """Read the gray levels `(H, W)` of a mask or map in the depth of its file, upright.

    Args:
        path: The file.
        content: Its bytes, where they were read before.

    Raises:
        ImageError: As `read_mask`, but whatever the levels mean.
    """
    decoded, header = decode(path, content=content)
    if header.several:
        raise ImageError(f"{path}: holds several images; a mask is one, so save it alone")
    try:
        return levels_of(decoded), header
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None


def decode(
    path: Path, at_least: tuple[int, int] | None = None, content: bytes | None = None
) -> tuple[Raster, Header]:
    """Decode a file, which is read once, and say what its header says.

    Args:
        path: The file.
        at_least: As in `read_image`.
        content: The file's bytes, where they were read before.

    Raises:
        ImageError: Empty, damaged, not an image, larger than the limit, or of an unknown kind.
    """
    try:
        content = path.read_bytes() if content is None else content
        if (layout := _layout(path, io.BytesIO(content))) is not None:
            return read_tiff(content, layout), _tiff_header(layout)
        with open_image(path, io.BytesIO(content)) as image:
            header = _header(image)
            return turned(_decoded(image, content, at_least), header.orientation), header
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from None


def read_header(path: Path, content: bytes | None = None) -> Header:
    """What the first bytes of a file say, and of a PNG the last.

    Args:
        path: The file.
        content: Its bytes, where they do not lie in a file of their own.

    Raises:
        ImageError: Empty, not an image, or larger than the limit.
    """
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as file:
            if (layout := _layout(path, file)) is not None:
                return _tiff_header(layout)
            with open_image(path, file) as image:
                return _header(image)
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None
    except OSError as error:
        raise ImageError(f"{path}: {error}") from None


def header_size(path: Path) -> tuple[int, int]:
    """Height and width after the EXIF turn, from the file's header alone.

    Raises:
        ImageError: Empty or not an image.
    """
    return read_header(path).size


def _layout(path: Path, file: BinaryIO) -> TiffLayout | None:
    """The layout of an open TIFF file, None for others, which are open as they were."""
    start = file.read(4)
    file.seek(0)
    if not start:
        raise ImageError(f"{path}: empty file (0 bytes)")
    if start not in MAGIC:
        return None
    layout = read_layout(file)
    if (fault := beyond_limit(*layout.size)) is not None:
        raise ImageError(f"{path}: {fault}")
    return layout


def _tiff_header(layout: TiffLayout) -> Header:
    height, width = layout.size
    size = (width, height) if layout.orientation >= 5 else (height, width)
    return Header(size, "TIFF", layout.orientation, layout.pages, layout.profile)


def _header(image: Image.Image) -> Header:
    width, height = image.size
    tag = _orientation(image)
    kind = "JPEG" if image.format in _JPEG else image.format or "PNG"
    return Header(
        (width, height) if tag >= 5 else (height, width),
        kind,
        tag,
        kind != "JPEG" and _holds_several(image),
        image.info.get("icc_profile"),
        image.getexif() if "exif" in image.info else None,
    )


def _holds_several(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except (*_DAMAGED, IndexError):  # a GIF that breaks off behind its first image
        return True


def _orientation(image: Image.Image) -> int:
    # Asking a PNG without the tag for EXIF would decode all of it.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    # The turn of a JPEG XL image is in its codestream, and carried out; its EXIF tag counts for
    # nothing there, unless what it holds is a JPEG.
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGED:
        return 1  # a block that cannot be read turns nothing
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _decoded(image: Image.Image, content: bytes, at_least: tuple[int, int] | None) -> Raster:
    """The samples of an open file that is no TIFF, as they are stored."""
    if image.format in _FAST_FORMATS and image.mode in ("RGB", "L", "LA", "RGBA", "I", "I;16"):
        plain = image.mode in ("RGB", "L") and "transparency" not in image.info
        flags = cv2.IMREAD_IGNORE_ORIENTATION
        if _is_16bit(image):
            pixels = _imdecode(content, cv2.IMREAD_UNCHANGED)
            if pixels is not None:
                return _deep(pixels, image)
        elif plain:
            flags |= cv2.IMREAD_COLOR_RGB if image.mode == "RGB" else cv2.IMREAD_GRAYSCALE
            if at_least is not None and image.format in _JPEG:
                flags |= _REDUCED_FLAGS[_reduction(image, at_least)]
            pixels = _imdecode(content, flags)
            if pixels is not None:
                return Raster(pixels)
    try:
        image.load()
    except _DAMAGED as error:
        raise KindError(f"damaged ({in_a_line(error)})") from None
    return raster_of(image)


def _deep(pixels: np.ndarray, image: Image.Image) -> Raster:
    """16-bit samples as OpenCV orders them."""
    if pixels.ndim == 2:
        return raster(pixels, keyed(pixels, image.info.get("transparency")))
    colors = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_BGR2RGB)
    return raster(colors, np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None)


def _imdecode(content: bytes, flags: int) -> np.ndarray | None:
    """None where OpenCV finds fault, so that Pillow says which. Both object to a file cut short."""
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None


def _is_16bit(image: Image.Image) -> bool:
    # Pillow calls a 16-bit RGB file "RGB"; what it decodes from is in the tile's raw mode.
    return any(";16" in str(tile[-1]) for tile in getattr(image, "tile", ()))


def _reduction(image: Image.Image, at_least: tuple[int, int]) -> int:
    width, height = image.size
    if _orientation(image) >= 5:
        width, height = height, width
    for factor in (8, 4, 2):
        if height // factor >= at_least[0] and width // factor >= at_least[1]:
            return factor
    return 1


def from_pillow(image: Image.Image) -> Raster:
    """The samples of an image that Pillow has open, upright.

    Raises:
        KindError: A mode without a certain meaning.
    """
    tag = _orientation(image) if image.format != "TIFF" else 1  # Pillow turns a TIFF itself
    image.load()
    return turned(raster_of(image), tag)
