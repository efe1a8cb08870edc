"""A photo as its file holds it, and files written so that what a photo carries is kept."""

import logging
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from src.atomic import atomic_write
from src.datamodules.file_kinds import IMAGE_KINDS, ImageKind
from src.datamodules.images import ImageError, decode
from src.datamodules.raster import KindError, colors_of, eight_bits, seen

log = logging.getLogger(__name__)

_ORIENTATION_TAG = 0x0112
_PNG_HEADER = 33  # signature and IHDR, behind which other chunks may follow
_QUALITY = 95  # of JPEG and WebP
_AVIF_QUALITY = 90  # about as far from the photo as JPEG's 95
_MOST_JPEG_EXIF = 65_533 - 6  # bytes of one segment, behind its name


@dataclass(frozen=True)
class ImageFile:
    """What a file holds.

    path: The file.
    pixels: uint8 RGB `(H, W, 3)`, upright: what a network sees, with transparency composed.
    colors: The file's own in its depth, uint8 or uint16; black where nothing is visible.
    format: Pillow's name of the file's format.
    profile: ICC profile, if the pixels are what it speaks of.
    exif: The file's EXIF block, with its orientation set to upright.
    opacity: `(H, W)` in the depth of the colors, 0 = transparent; None where all is opaque.
    """

    path: Path
    pixels: np.ndarray
    colors: np.ndarray
    format: str
    profile: bytes | None = None
    exif: bytes | None = None
    opacity: np.ndarray | None = None

    def suffix(self, *, alpha: bool) -> str:
        """The suffix of an image made from this photo: its own where the format can hold it."""
        kind = IMAGE_KINDS.get(self.format)
        alpha = alpha or self.opacity is not None
        if self.colors.dtype == np.uint16 or kind is None or not kind.keeps(alpha=alpha):
            return ".png"
        own = self.path.suffix.lower()
        return own if Image.registered_extensions().get(own) == self.format else kind.suffixes[0]


def read_image_file(path: Path) -> ImageFile:
    """Read a photo of any format that Pillow knows.

    Raises:
        ImageError: Empty, damaged, not an image, or of a kind that has no certain 8-bit form.
    """
    decoded, header = decode(path)
    try:
        colors = colors_of(decoded)
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None
    if header.several:
        log.warning("%s: holds several images; only the first is read", path)
    profile = header.profile
    return ImageFile(
        path=path,
        pixels=seen(colors, decoded.opacity),
        colors=colors,
        format=header.format,
        profile=profile if profile and profile[16:20] == b"RGB " else None,
        exif=upright_exif(header.exif),
        opacity=decoded.opacity,
    )


def write_image_file(path: Path, pixels: np.ndarray, image_file: ImageFile | None = None) -> None:
    """Write what `image_file_bytes` gives, whole or not at all."""
    data = image_file_bytes(path, pixels, image_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, data)


def image_file_bytes(path: Path, pixels: np.ndarray, image_file: ImageFile | None = None) -> bytes:
    """The bytes of an image file.

    Args:
        path: Its name: the suffix says the format, and messages name it.
        pixels: uint8 or uint16 `(H, W)`, `(H, W, 3)` or `(H, W, 4)`. Of 16 bit only a PNG keeps
            more than 8. Gray, which is a mask, is kept exactly by every format but JPEG.
        image_file: The photo whose profile and EXIF block the image keeps.
    """
    profile = image_file.profile if image_file else None
    kind = IMAGE_KINDS[Image.registered_extensions()[path.suffix.lower()]]
    if pixels.dtype == np.uint16 and kind.format == "PNG":
        return _deep_png(pixels, profile)
    exif = image_file.exif if image_file else None
    if kind.format == "JPEG" and exif and len(exif) > _MOST_JPEG_EXIF:
        log.warning("%s: its EXIF block is too large for a JPEG and is left out", path)
        exif = None
    options = encoding(kind, gray=pixels.ndim == 2, profile=profile, exif=exif)
    buffer = BytesIO()
    Image.fromarray(eight_bits(pixels)).save(buffer, kind.format, **options)
    return buffer.getvalue()


def encoding(
    kind: ImageKind, *, gray: bool, profile: bytes | None, exif: bytes | None
) -> dict[str, object]:
    """What Pillow is asked for when it writes an image or an animation.

    Args:
        kind: Of the file.
        gray: It is a mask, whose levels are kept.
        profile, exif: Of the photo; left out where the kind holds none.
    """
    of_kinds: dict[str, dict[str, object]] = {
        "JPEG": {"quality": _QUALITY, "subsampling": 0},  # edges of a cut-out keep their color
        "WEBP": {"lossless": True} if gray else {"quality": _QUALITY},
        "AVIF": {"quality": 100 if gray else _AVIF_QUALITY, "subsampling": "4:4:4"},
        "TIFF": {"compression": "tiff_lzw"},
    }
    options = of_kinds.get(kind.format, {})
    if kind.metadata and profile:
        options["icc_profile"] = profile
    if kind.metadata and exif:
        options["exif"] = exif
    return options


def _deep_png(pixels: np.ndarray, profile: bytes | None) -> bytes:
    """A 16-bit PNG, which Pillow cannot write in color, with the profile in its own chunk."""
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    values = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, codes[pixels.shape[2]])
    data = bytes(cv2.imencode(".png", values)[1])
    if profile is None:
        return data
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:_PNG_HEADER] + chunk + data[_PNG_HEADER:]


def upright_exif(exif: Image.Exif | None) -> bytes | None:
    """The bytes of an EXIF block whose orientation says upright; None for one that is damaged."""
    if exif is None:
        return None
    try:
        if _ORIENTATION_TAG in exif:
            exif[_ORIENTATION_TAG] = 1
        return exif.tobytes()
    except (OSError, ValueError, TypeError, struct.error, SyntaxError):
        return None  # a block that cannot be read is not passed on
