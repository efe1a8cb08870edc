"""Image files opened by Pillow: packages that some kinds need, limits, a line on what is wrong."""

import logging
import os
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from src.datamodules.file_kinds import ImageKind, load_plugin, plugin_kind
from src.datamodules.jpeg_xl import jxl_size
from src.errors import UserError

log = logging.getLogger(__name__)

VARIABLE = "FINECUT_MAX_MEGAPIXELS"
_DEFAULT = 178.956970  # what Pillow opens

# Half of the limit is no reason to warn; beyond it files are refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Behind the pixels of a PNG; what lies before them Pillow finds itself.
_TAIL = 65536 + 4096


def max_megapixels() -> float:
    """Millions of pixels above which no file is decoded.

    Raises:
        UserError: `FINECUT_MAX_MEGAPIXELS` is no number above 0.
    """
    text = os.environ.get(VARIABLE)
    try:
        value = _DEFAULT if text is None else float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise UserError(f"{VARIABLE} is {text!r}; give a number of megapixels above 0")
    return value


def set_limit() -> None:
    """Make Pillow's own limit ours, for whatever opens a file with it."""
    # Pillow warns from here on and refuses twice as much.
    Image.MAX_IMAGE_PIXELS = int(max_megapixels() * 1e6) // 2


def beyond_limit(height: int | None = None, width: int | None = None) -> str | None:
    """Say that an image is too large, and what to do; None if it is not.

    Args:
        height: In pixels, None where it is only known that the limit is passed.
        width: The same.
    """
    set_limit()
    size = ""
    if height is not None and width is not None:
        if height * width <= max_megapixels() * 1e6:
            return None
        size = f"{width}×{height} pixels, "
    return (
        f"{size}more than {max_megapixels():.3g} megapixels, the limit that keeps a small file "
        f"from filling the memory; set the variable {VARIABLE} to a larger number to read it"
    )


class ImageError(UserError):
    """A file that cannot be read as an image or as a mask; the message starts with its path."""


def open_image(path: Path, file: BinaryIO) -> Image.Image:
    """Open an image file for Pillow, which reads its header now and its pixels later.

    Args:
        path: Named in messages.
        file: Open at its beginning.

    Raises:
        ImageError: Not an image, damaged, larger than the limit, or of a kind whose package is not
            installed.
    """
    set_limit()
    kind = _with_plugin(path, file)
    try:
        image = Image.open(file)
        if image.format == "PNG" and "exif" not in image.info and (late := _late_exif(file)):
            image.info["exif"] = late
        return image
    except UnidentifiedImageError:
        if kind is not None:
            raise ImageError(f"{path}: {_cut_short(kind)}") from None
        raise ImageError(f"{path}: not an image, or damaged") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: {beyond_limit()}") from None
    except RuntimeError as error:  # of a package that reads one kind, whose words are its own
        log.debug("%s", path, exc_info=error)
        raise ImageError(f"{path}: {_cut_short(kind)}") from None
    except (OSError, SyntaxError) as error:
        said = in_a_line(error)
        of_the_disk = isinstance(error, OSError) and error.errno is not None
        raise ImageError(f"{path}: {said if of_the_disk else f'damaged ({said})'}") from None


def _with_plugin(path: Path, file: BinaryIO) -> ImageKind | None:
    """Load what Pillow needs for an open file, which is left as it was; None if that is nothing.

    Raises:
        ImageError: That is not installed, or the image is larger than the limit.
    """
    kind = plugin_kind(file.read(16))
    file.seek(0)
    if kind is None:
        return None
    try:
        load_plugin(kind)
    except UserError as error:
        raise ImageError(f"{path}: {error}") from None
    if kind.format == "JXL":
        try:
            size = jxl_size(file.read())
        except ValueError:
            raise ImageError(f"{path}: {_cut_short(kind)}") from None
        file.seek(0)
        if (fault := beyond_limit(*size)) is not None:
            raise ImageError(f"{path}: {fault}")
    return kind


def in_a_line(error: Exception) -> str:
    """What a decoder says, without the line breaks and indents of some."""
    return " ".join(str(error).split())


def _cut_short(kind: ImageKind | None) -> str:
    return f"{f'{kind.called} image' if kind else 'image'}, damaged or cut short"


def _late_exif(file: BinaryIO) -> bytes | None:
    """The EXIF block that a PNG may carry behind its pixels, which Pillow meets in decoding.

    The file is left at the place at which it was found.
    """
    before = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(max(0, length - _TAIL))
    tail = file.read()
    file.seek(before)
    at = tail.find(b"eXIf")
    while at >= 4:
        size = int.from_bytes(tail[at - 4 : at], "big")
        body, check = tail[at : at + 4 + size], tail[at + 4 + size : at + 8 + size]
        if len(check) == 4 and zlib.crc32(body).to_bytes(4, "big") == check:
            return b"Exif\0\0" + body[4:]
        at = tail.find(b"eXIf", at + 1)
    return None
