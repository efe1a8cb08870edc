"""Reading predicted maps and truths from files as uint8 `(H, W)`, or refusing them by name.

Images are read as masks are for training (`src.datamodules.images.read_mask`): one-bit masks, and
masks of 0 and 1, are stretched to 0 and 255; 16 bit is scaled to 8; RGB, RGBA and palettes are
accepted where all colours are grey (JPEG noise apart), transparency over black; colour palettes
with two entries are background and foreground; other colours and label maps are refused.
Here also: float maps in [0, 1] (TIFF, NPY) are multiplied by 255 and rounded.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.datamodules.images import EXTENSIONS, ImageError, decode_strictly, header_size, read_mask

MAP_EXTENSIONS = EXTENSIONS | {".npy"}
_JPEG = (".jpg", ".jpeg")
_TIFF = (".tif", ".tiff")


def read_map(path: Path) -> npt.NDArray[np.uint8]:
    """Read a map, uint8 `(H, W)`.

    Raises:
        ImageError: the file is damaged or of a kind without a certain 8-bit grey form; the message
            starts with its path.
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _eight_bits(_load_array(path), path)
    if suffix in _TIFF and _holds_floats(path):
        with Image.open(path) as image:
            return _eight_bits(np.asarray(image), path)
    if suffix in _JPEG:
        decode_strictly(path)  # the fast decoder fills what is missing with grey
    try:
        return np.ascontiguousarray(read_mask(path))
    except ImageError:
        raise
    except Exception as error:  # a decoder's own, for a file that only pretends
        raise ImageError(f"{path}: {error}") from error


def map_size(path: Path) -> tuple[int, int]:
    """Height and width from the file's header alone; raises ImageError as `read_map` does."""
    if path.suffix.lower() != ".npy":
        return header_size(path)
    array = _load_array(path, memory_map=True)
    height, width = _flat(array, path).shape
    return height, width


def is_soft(grey: npt.NDArray[np.uint8]) -> bool:
    """Whether a truth has values between 0 and 255, so that > 128 decides."""
    # Plus one, 255 and 0 are 0 and 1; this takes a sixtieth of the time of np.isin.
    return bool(((grey + np.uint8(1)) & np.uint8(0xFE)).any())


def _holds_floats(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.mode == "F"
    except (OSError, SyntaxError):
        return False


def _load_array(path: Path, memory_map: bool = False) -> np.ndarray:
    try:
        return np.asarray(np.load(path, mmap_mode="r" if memory_map else None, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: not a readable array ({error})") from None


def _flat(array: np.ndarray, path: Path) -> np.ndarray:
    """`(H, W)` of an array that may have one leading or trailing axis of length 1."""
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim != 2 or array.size == 0:
        raise ImageError(f"{path}: an array of shape {array.shape}; a map is (H, W)")
    return array


def _eight_bits(array: np.ndarray, path: Path) -> npt.NDArray[np.uint8]:
    array = _flat(array, path)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint8:
        return array * np.uint8(255) if array.max() == 1 else np.ascontiguousarray(array)
    if array.dtype.kind != "f":
        raise ImageError(f"{path}: {array.dtype} values; save uint8 0..255, bool, or float 0..1")
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # also where either is nan
        raise ImageError(f"{path}: float values from {low:g} to {high:g}; expected 0 to 1")
    return np.rint(array * 255).astype(np.uint8)
