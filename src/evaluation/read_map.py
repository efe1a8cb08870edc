"""Reading predicted maps and targets from files as uint8 `(H, W)`, or refusing them by name.

Both are read as masks are for training (`src.datamodules.images`, `src.datamodules.mask_levels`):
RGB, RGBA and palettes are accepted where all colors are gray (JPEG noise apart) or where only
the alpha channel holds the shape; color palettes with two entries are background and foreground;
other colors and files of several pages are refused. Levels are 0 and 1, 0 to 255 or all of 16 bit:
the smallest scale that holds the levels of all files of the set. Float maps in [0, 1] (TIFF, NPY)
are multiplied by 255 and rounded.

A target must also be a mask: label maps and photographs are refused. A map may be of any gray.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.datamodules.images import EXTENSIONS, ImageError, header_size, read_levels
from src.datamodules.mask_levels import mask_fault, not_a_mask, scale_of, scaled
from src.datamodules.raster import KindError

SOFT = "ground truth has gray values; foreground is where it is > 128"
RESIZED = "map resized to the target's size (bilinear, 8 bit)"
ZERO_ONE = "all maps of the set hold 0 and 1 only; read as background and foreground"


MAP_EXTENSIONS = EXTENSIONS | {".npy"}


def read_map(path: Path, scale: int | None = None) -> npt.NDArray[np.uint8]:
    """Read a predicted map, uint8 `(H, W)`.

    Args:
        path: The file.
        scale: Full scale of the levels of its set, see `set_scale`; None for the file's own.

    Raises:
        ImageError: the file is damaged or of a kind without a certain 8-bit gray form; the message
            starts with its path.
    """
    return _read(path, scale)[0]


def read_target(path: Path, scale: int | None = None) -> npt.NDArray[np.uint8]:
    """As `read_map`, of a true mask; one without any foreground is one too.

    Raises:
        ImageError: also where it is no mask: a label map, a photograph.
    """
    target, jpeg = _read(path, scale)
    if fault := not_a_mask(target, jpeg=jpeg) or mask_fault(target, allow_empty=True):
        raise ImageError(f"{path}: {fault}")
    return target


def set_scale(paths: Iterable[Path]) -> int | None:
    """The full scale of the levels in a set's files: 1, 255 or 65535; None if all are black.

    It is the smallest that holds them all. One bright 8-bit file decides, so that few are read;
    of a set of zeros and ones all are. Files that cannot be read say nothing here.
    """
    found = 0
    for path in paths:
        try:
            scale = scale_of(_levels(path)[0])
        except ImageError:
            continue
        if scale is not None:
            found = max(found, scale.least)
            if scale.least == scale.most:
                break
    return found or None


def map_size(path: Path) -> tuple[int, int]:
    """Height and width from the file's header alone; raises ImageError as `read_map` does."""
    if path.suffix.lower() != ".npy":
        return header_size(path)
    array = _load_array(path, memory_map=True)
    height, width = _flat(array, path).shape
    return height, width


def is_soft(gray: npt.NDArray[np.uint8]) -> bool:
    """Whether a target has values between 0 and 255, so that > 128 decides."""
    # Plus one, 255 and 0 are 0 and 1; this takes a sixtieth of the time of np.isin.
    return bool(((gray + np.uint8(1)) & np.uint8(0xFE)).any())


def _read(path: Path, scale: int | None) -> tuple[npt.NDArray[np.uint8], bool]:
    """The map, and whether it comes from a JPEG."""
    levels, jpeg = _levels(path)
    try:
        return np.ascontiguousarray(scaled(levels, scale)), jpeg
    except KindError as error:
        raise ImageError(f"{path}: {error}") from None


def _levels(path: Path) -> tuple[np.ndarray, bool]:
    if path.suffix.lower() == ".npy":
        array = _flat(_load_array(path), path)
        if array.dtype.kind not in "bf" and array.dtype != np.uint8:
            text = f"{array.dtype} values; save uint8 0..255, bool, or float 0..1"
            raise ImageError(f"{path}: {text}")
        return array, False
    try:
        levels, header = read_levels(path)
    except ImageError:
        raise
    except Exception as error:  # a decoder's own, for a file that only pretends
        raise ImageError(f"{path}: {error}") from error
    return levels, header.format == "JPEG"


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
