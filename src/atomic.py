"""Files that are there whole or not at all, whatever stops the writer."""

import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError

if TYPE_CHECKING:  # most files are no images, and the command line writes none
    import numpy as np

_LONGEST_NAME = 200  # bytes of the unfinished file's; file systems take 255 or less


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to; what is there takes the place of `path` at the end.

    The name holds the numbers of this process and thread, so that two writers of one file do not
    meet. A device or a pipe (`/dev/stdout`) is written to directly: nothing may take its place.

    Raises:
        OSError: It cannot be written; the error names `path`.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    unfinished = path.with_name(f".{_shortened(path.name)}.{writer}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        # A reader knows the file's name; a write to a full disk names none at all.
        if error.errno is None or error.filename not in (None, str(unfinished), unfinished):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        # What cannot be made, below a file for example, cannot be removed either.
        if os.path.lexists(unfinished):
            unfinished.unlink()


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; text as UTF-8, with what that cannot hold escaped."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(data)


def _shortened(name: str) -> str:
    """A name that has room for what is put around it, and is still no other file's."""
    if len(data := os.fsencode(name)) <= _LONGEST_NAME:
        return name
    # No half of a letter, which some file systems refuse.
    return f"{data[:_LONGEST_NAME].decode(errors='ignore')}.{zlib.crc32(data):08x}"


def encode_image(suffix: str, rgb: "np.ndarray", options: Sequence[int] = ()) -> bytes:
    """The bytes of an image file.

    Args:
        suffix: Of the file's name, which says the format: `.png`, `.jpg`.
        rgb: uint8 `(H, W, 3)` in RGB.
        options: OpenCV's parameters for the format.

    Raises:
        UserError: A suffix of no known format, or an image larger than the format can hold.
    """
    import cv2

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


def atomic_write_image(path: Path, rgb: "np.ndarray", options: Sequence[int] = ()) -> None:
    """Encode an image by its name's suffix and write it whole or not at all.

    Raises:
        UserError: As `encode_image`.
        OSError: The file cannot be written.
    """
    atomic_write(path, encode_image(path.suffix, rgb, options))
