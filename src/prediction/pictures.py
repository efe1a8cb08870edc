"""What the Python API accepts as a picture, as uint8 RGB."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from src.datamodules.images import decode, from_pillow
from src.datamodules.raster import KindError, colors_of, seen
from src.errors import UserError

_UNCERTAIN = ("I", "F", "LAB")  # Pillow's modes; it would clip them, or take them for another

Picture = np.ndarray | Image.Image | str | Path


class Seen(NamedTuple):
    """A picture as a network sees it, uint8 `(H, W, 3)`, and the picture's own opacity."""

    pixels: np.ndarray
    opacity: np.ndarray | None = None


def as_seen(picture: Picture) -> Seen:
    """A picture upright, transparency composed as `raster.seen` says, 16 bit scaled to 8.

    Raises:
        UserError: An array or a Pillow image of another kind, or a file that cannot be read.
    """
    if isinstance(picture, np.ndarray):
        return Seen(_checked(picture))
    if isinstance(picture, Image.Image):
        return _converted(picture)
    path = Path(picture).expanduser()
    decoded, _ = decode(path)
    try:
        return Seen(seen(colors_of(decoded), decoded.opacity), decoded.opacity)
    except KindError as error:
        raise UserError(f"{path}: {error}") from None


def _converted(image: Image.Image) -> Seen:
    if image.mode in _UNCERTAIN:
        raise UserError(
            f"a Pillow image of kind {image.mode!r} has no certain 8-bit form; convert it to RGB"
        )
    try:
        decoded = from_pillow(image)
        return Seen(seen(colors_of(decoded), decoded.opacity), decoded.opacity)
    except KindError as error:
        raise UserError(f"a Pillow image: {error}") from None


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.size == 0 or array.ndim not in (2, 3):
        raise UserError(
            f"a picture is a uint8 array (H, W, 3) in RGB, not {array.dtype} {array.shape}; "
            "multiply values from 0 to 1 by 255, and convert with .astype('uint8')"
        )
    if array.ndim == 2:
        return cv2.cvtColor(array, cv2.COLOR_GRAY2RGB)
    if array.shape[2] != 3:
        raise UserError(
            f"a picture has 3 channels (RGB), not {array.shape[2]}: {array.shape}; "
            "PIL.Image.fromarray(array) makes an image of it that says what its channels are"
        )
    return np.ascontiguousarray(array)
