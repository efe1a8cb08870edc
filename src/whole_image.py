"""Images written by OpenCV's encoders, whole or not at all.

`cv2.imwrite` answers a full disk with False and leaves half a file; here every failure is raised.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .errors import UserError
from .whole_file import write_whole


def encode_image(suffix: str, rgb: np.ndarray, options: Sequence[int] = ()) -> bytes:
    """The bytes of an image file.

    Args:
        suffix: Of the file's name, which says the format: `.png`, `.jpg`.
        rgb: uint8 `(H, W, 3)` in RGB.
        options: OpenCV's parameters for the format.

    Raises:
        UserError: A suffix of no known format, or an image larger than the format can hold.
    """
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), list(options))
    except cv2.error:
        done = False
    if not done:
        height, width = rgb.shape[:2]
        raise UserError(
            f"an image of {width}×{height} pixels cannot be written as {suffix!r}; choose a name "
            "that ends in .png"
        )
    return data.tobytes()


def write_image(path: Path, rgb: np.ndarray, options: Sequence[int] = ()) -> None:
    """Encode an image by its name's suffix and write it whole or not at all.

    Raises:
        UserError: As `encode_image`.
        OSError: The file cannot be written.
    """
    write_whole(path, encode_image(path.suffix, rgb, options))
