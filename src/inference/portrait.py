"""Cuts a photo to its face, which the portrait network of U²-Net expects to fill its input."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from src.errors import UserError
from src.inference.image_file import ImageFile

# What is kept around a face, in its own widths and heights: more above, for the hair.
_SIDE, _ABOVE, _BELOW = 0.45, 0.6, 0.35
_DETECTION_SIDE = 640
_SMALLEST = 0.08  # of the shorter side


def crop_to_face(image_file: ImageFile) -> ImageFile:
    """A square around the largest face of a photo, white where it leaves the photo.

    The detector is the Haar cascade that comes with OpenCV: upright frontal faces.

    Raises:
        UserError: No face found.
    """
    box = face_box(image_file.pixels)
    if box is None:
        raise UserError(
            f"{image_file.path}: no upright frontal face found; cut it by hand, crop=null"
        )
    top, left, side = surroundings(box, image_file.pixels.shape[:2])
    return replace(
        image_file,
        pixels=_square(image_file.pixels, top, left, side),
        colors=_square(image_file.colors, top, left, side),
        opacity=None
        if image_file.opacity is None
        else _square(image_file.opacity, top, left, side),
    )


def face_box(image: np.ndarray) -> tuple[int, int, int, int] | None:
    """The largest face of a uint8 image `(H, W, 3)` as x, y, width, height; None without one."""
    scale = min(1.0, _DETECTION_SIDE / min(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    gray = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    smallest = max(24, round(_SMALLEST * min(size)))
    found = _detector().detectMultiScale(
        cv2.equalizeHist(gray), scaleFactor=1.1, minNeighbors=6, minSize=(smallest, smallest)
    )
    if len(found) == 0:
        return None
    x, y, width, height = max(found, key=lambda box: box[2] * box[3])
    return round(x / scale), round(y / scale), round(width / scale), round(height / scale)


def surroundings(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int]:
    """Top, left and side of the square around a face.

    It moves inwards where the image of `size` (height, width) has the room, else leaves it evenly.
    """
    x, y, width, height = box
    side = round(max((1 + _ABOVE + _BELOW) * height, (1 + 2 * _SIDE) * width))
    top = round(y + (1 + _BELOW - _ABOVE) * height / 2 - side / 2)
    left = round(x + width / 2 - side / 2)
    return _moved(top, side, size[0]), _moved(left, side, size[1]), side


def _moved(start: int, side: int, length: int) -> int:
    if side > length:
        return (length - side) // 2
    return min(max(start, 0), length - side)


def _square(image: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """White opaque paper with the part of an image `(H, W[, 3])` that lies in the square."""
    paper = np.full((side, side, *image.shape[2:]), np.iinfo(image.dtype).max, image.dtype)
    part = image[max(0, top) : top + side, max(0, left) : left + side]
    down, right = max(0, -top), max(0, -left)
    paper[down : down + part.shape[0], right : right + part.shape[1]] = part
    return paper


@cache
def _detector() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(
        str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml")
    )
