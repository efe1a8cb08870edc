"""Reading images and masks as 8-bit arrays, the right way up, whatever the file holds.

OpenCV decodes the plain cases, which are nearly all; Pillow decodes palettes, transparency,
16 bit and CMYK. A file whose meaning is not certain is refused by name rather than guessed.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from src.errors import UserError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_ORIENTATION_TAG = 0x0112
_PLAIN_MODES = ("RGB", "L")
# Colour noise that a JPEG adds to a grey mask stays below this.
_GREY_TOLERANCE = 32
# OpenCV names no reduced RGB; its flags are a reduction, named for grey, and a colour order.
_REDUCED_FLAGS = {
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}


class ImageError(UserError):
    """A file that cannot be read as an image or as a mask; the message starts with its path."""


def read_image(path: Path, at_least: tuple[int, int] | None = None) -> np.ndarray:
    """Read uint8 RGB `(H, W, 3)`, turned by its EXIF orientation.

    Transparency is composed over white; 16 bit is scaled to 8; CMYK is converted without its
    colour profile.

    Args:
        path: A file with one of `EXTENSIONS`.
        at_least: A JPEG is decoded at 1/2, 1/4 or 1/8 of its size as long as neither side falls
            below this (height, width). Faster, but pixels differ from a full decode and resize.

    Raises:
        ImageError: Empty, damaged or not an image, or a kind that has no certain 8-bit form.
    """
    with _open(path) as image:
        if image.mode in _PLAIN_MODES and not _is_16bit(image):
            flag = cv2.IMREAD_COLOR_RGB
            if at_least is not None and image.format == "JPEG":
                flag = _REDUCED_FLAGS.get(_reduction(image, at_least), flag)
            pixels = cv2.imdecode(_bytes(path), flag | cv2.IMREAD_IGNORE_ORIENTATION)
            if pixels is not None:
                return _turn(pixels, orientation(image))
        return _read_odd_image(image, path)


def read_mask(path: Path) -> np.ndarray:
    """Read a uint8 foreground mask `(H, W)`, 255 = foreground, turned by its EXIF orientation.

    One-bit masks and masks of zeros and ones are stretched to 0 and 255. Of a coloured palette
    with two entries the second is the foreground.

    Raises:
        ImageError: Empty, damaged, in colour, or a label map of several instances or classes.
    """
    with _open(path) as image:
        pixels = None
        if image.mode == "L":
            pixels = cv2.imdecode(
                _bytes(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
            )
        if pixels is None:
            pixels = _read_odd_mask(image, path)
        pixels = _turn(pixels, orientation(image))
    if pixels.max() == 1:
        pixels = pixels * np.uint8(255)
    return pixels


def header_size(path: Path) -> tuple[int, int]:
    """Height and width after the EXIF turn, from the file's header alone.

    Raises:
        ImageError: Empty or not an image.
    """
    with _open(path) as image:
        width, height = image.size
        return (width, height) if orientation(image) >= 5 else (height, width)


def decode_strictly(path: Path) -> None:
    """Decode a whole file and complain about a truncated or damaged one.

    OpenCV before 4.14 fills the missing part of a truncated JPEG with grey; Pillow objects.

    Raises:
        ImageError: The file is damaged.
    """
    with _open(path) as image:
        _load(image, path)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8."""
    # Asking a PNG without the tag for EXIF would decode all of it.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    if image.format == "TIFF":  # Pillow and OpenCV turn these themselves
        return 1
    value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _open(path: Path) -> Image.Image:
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: empty file (0 bytes)")
        return Image.open(path)
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not an image, or damaged") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: {error}") from None


def _load(image: Image.Image, path: Path) -> Image.Image:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: damaged ({error})") from None
    return image


def _bytes(path: Path) -> np.ndarray:
    # imdecode instead of imread: the latter cannot open non-ASCII paths on every system.
    try:
        return np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from None


def _is_16bit(image: Image.Image) -> bool:
    # Pillow calls a 16-bit RGB file "RGB"; what it decodes from is in the tile's raw mode.
    return any(";16" in str(tile[-1]) for tile in getattr(image, "tile", ()))


def _reduction(image: Image.Image, at_least: tuple[int, int]) -> int:
    width, height = image.size
    if orientation(image) >= 5:
        width, height = height, width
    for factor in (8, 4, 2):
        if height // factor >= at_least[0] and width // factor >= at_least[1]:
            return factor
    return 1


def _read_odd_image(image: Image.Image, path: Path) -> np.ndarray:
    _load(image, path)
    if image.mode.startswith("I;16"):
        pixels = np.repeat(_eight_bits(np.asarray(image))[..., None], 3, axis=2)
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        backdrop = Image.new("RGBA", layer.size, "white")
        pixels = np.array(Image.alpha_composite(backdrop, layer).convert("RGB"))
    elif image.mode in ("1", "P", "L", "RGB", "CMYK", "YCbCr"):
        pixels = np.array(image.convert("RGB"))
    else:
        raise ImageError(
            f"{path}: pixels of kind {image.mode!r} have no certain 8-bit form; save it as RGB"
        )
    return _turn(pixels, orientation(image))


def _read_odd_mask(image: Image.Image, path: Path) -> np.ndarray:
    _load(image, path)
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image)
        # Some tools store 0..255, or 0 and 1, in 16 bit.
        return values.astype(np.uint8) if values.max() <= 255 else _eight_bits(values)
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    if image.mode in ("RGB", "RGBA", "LA", "P", "PA"):
        return _grey_or_two_labels(image, path)
    raise ImageError(f"{path}: a mask of kind {image.mode!r}; save it as 8-bit grey")


def _grey_or_two_labels(image: Image.Image, path: Path) -> np.ndarray:
    layer = image.convert("RGBA")
    # White drawn on nothing is a mask; a photograph cut out on nothing is not, and is in colour.
    backdrop = Image.new("RGBA", layer.size, "black")
    pixels = np.asarray(Image.alpha_composite(backdrop, layer).convert("RGB"))
    if int((pixels.max(axis=2) - pixels.min(axis=2)).max()) <= _GREY_TOLERANCE:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if image.mode == "P" and (labels := np.asarray(image)).max() <= 1:
        return labels * np.uint8(255)
    raise ImageError(
        f"{path}: in colour, so not a foreground mask (a map of classes or instances? a cut-out"
        " photograph?); save it in grey, 255 = foreground"
    )


def _eight_bits(values: np.ndarray) -> np.ndarray:
    # 65535 = 257 * 255, so full scale stays full scale.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _turn(pixels: np.ndarray, tag: int) -> np.ndarray:
    """Bring pixels upright; the eight EXIF orientations are flips and quarter turns."""
    if tag in (2, 3):
        pixels = cv2.flip(pixels, 1 if tag == 2 else -1)
    elif tag == 4:
        pixels = cv2.flip(pixels, 0)
    elif tag >= 5:
        pixels = cv2.transpose(pixels)
        if tag in (6, 7, 8):
            pixels = cv2.flip(pixels, {6: 1, 7: -1, 8: 0}[tag])
    return pixels
