"""Reading predicted maps and targets from files as uint8 `(H, W)`, or refusing them by name.

Both are read as masks are for training (`src.datamodules.images`, `src.datamodules.mask_levels`):
RGB, RGBA and palettes are accepted where all colors are gray (JPEG noise apart) or where only
the alpha channel holds the shape; color palettes with two entries are background and foreground;
other colors and files of several pages are refused. Levels are 0 and 1, 0 to 255 or all of 16 bit:
the smallest scale that holds the levels of all files of the set. Float maps in [0, 1] (TIFF, NPY)
are multiplied by 255 and rounded.

A target must also be a mask: label maps and photographs are refused, the latter unless soft mattes
are expected. A map may be of any gray.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.datamodules.images import EXTENSIONS, ImageError, header_size, read_levels
from src.datamodules.mask_levels import (
    MATTE_ADVICE,
    Scale,
    mask_fault,
    not_a_mask,
    scale_of,
    scaled,
)
from src.datamodules.raster import KindError
from src.metrics import TRIMAP_LEVELS

SOFT = "ground truth has gray values; foreground is where it is > 128"
GRAY = "ground truth is gray over most of the image, as no mask is"
RESIZED = "map resized to the target's size (bilinear, 8 bit)"
ZERO_ONE = "all maps of the set hold 0 and 1 only; read as background and foreground"


_SHOWN = 3  # levels of a trimap that are none
MAP_EXTENSIONS = EXTENSIONS | {".npy"}


class MapFile:
    """A decoded file whose levels are not yet scaled: the other files of its set have a say.

    Args:
        path: The file.
        content: Its bytes, where they were read before.

    Raises:
        ImageError: the file is damaged or of an unknown kind; the message starts with its path.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        self._levels, self._jpeg = _levels(path, content)
        self.scale = scale_of(self._levels)

    @property
    def waits_for_its_set(self) -> bool:
        """Whether it holds so low levels that they may mean this or that: 0 and 1 in 8 bits, or
        less than 256 in 16.
        """
        return self.scale is not None and self.scale.least < self.scale.most

    def as_map(self, scale: int | None = None) -> npt.NDArray[np.uint8]:
        """A predicted map, uint8 `(H, W)`.

        Args:
            scale: Full scale of the levels of its set, see `full_scale`; None for the file's own.

        Raises:
            ImageError: the file has no certain 8-bit gray form.
        """
        try:
            return np.ascontiguousarray(scaled(self._levels, scale))
        except KindError as error:
            raise ImageError(f"{self.path}: {error}") from None

    def as_target(self, scale: int | None = None, soft: bool = False) -> npt.NDArray[np.uint8]:
        """As `as_map`, of a true mask; one without any foreground is one too.

        Args:
            scale: As for `as_map`.
            soft: A matte that is gray over most of the image is one too.

        Raises:
            ImageError: also where it is no mask: a label map, a photograph.
        """
        target = self.as_map(scale)
        if fault := self.target_fault(target, soft):
            raise ImageError(f"{self.path}: {fault}")
        return target

    def target_fault(self, target: npt.NDArray[np.uint8], soft: bool = False) -> str | None:
        """What makes the file's levels no true mask, or if `soft` no matte; None if nothing."""
        fault = not_a_mask(target, jpeg=self._jpeg, soft=soft)
        fault = fault or mask_fault(target, allow_empty=True, soft=soft)
        if fault is None or not fault.endswith(MATTE_ADVICE):
            return fault
        return fault.removesuffix(MATTE_ADVICE) + " (metrics=matting takes it for a matte)"


def read_map(path: Path, scale: int | None = None) -> npt.NDArray[np.uint8]:
    """Read a predicted map, uint8 `(H, W)`; for the argument and errors see `MapFile`."""
    return MapFile(path).as_map(scale)


def read_trimap(path: Path, content: bytes | None = None) -> npt.NDArray[np.uint8]:
    """Read a trimap, uint8 `(H, W)`: 0 background, 128 unknown, 255 foreground.

    Args:
        path: The file.
        content: Its bytes, where they were read before.

    Raises:
        ImageError: The file is damaged, of an unknown kind, or holds other levels.
    """
    levels, _ = _levels(path, content)
    if levels.dtype == np.bool_:
        levels = levels.astype(np.uint8) * np.uint8(255)
    if levels.dtype != np.uint8:
        raise ImageError(f"{path}: {levels.dtype} levels; a trimap has 8 bits")
    present = np.flatnonzero(np.bincount(levels.ravel(), minlength=256)).tolist()
    if others := [level for level in present if level not in TRIMAP_LEVELS]:
        shown = ", ".join(map(str, others[:_SHOWN])) + (", …" if len(others) > _SHOWN else "")
        raise ImageError(
            f"{path}: level {shown}; a trimap has 0 (background), 128 (unknown) and 255 "
            "(foreground) alone"
        )
    return np.ascontiguousarray(levels)


def full_scale(scales: Iterable[Scale | None]) -> int | None:
    """The full scale of the levels in a set's files: 1, 255 or 65535; None if all are black.

    It is the smallest that holds them all.

    Args:
        scales: `MapFile.scale` of each.
    """
    return max((scale.least for scale in scales if scale is not None), default=None)


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


def _levels(path: Path, content: bytes | None) -> tuple[np.ndarray, bool]:
    """The levels, and whether they come from a JPEG."""
    if path.suffix.lower() == ".npy":
        array = _flat(_load_array(path, content=content), path)
        if array.dtype.kind not in "bf" and array.dtype != np.uint8:
            text = f"{array.dtype} values; save uint8 0..255, bool, or float 0..1"
            raise ImageError(f"{path}: {text}")
        return array, False
    try:
        levels, header = read_levels(path, content)
    except ImageError:
        raise
    except Exception as error:  # a decoder's own, for a file that only pretends
        raise ImageError(f"{path}: {error}") from error
    return levels, header.format == "JPEG"


def _load_array(path: Path, memory_map: bool = False, content: bytes | None = None) -> np.ndarray:
    source = path if content is None else io.BytesIO(content)
    try:
        return np.asarray(
            np.load(source, mmap_mode="r" if memory_map else None, allow_pickle=False)
        )
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"{path}: not a readable array ({error})") from None


def _flat(array: np.ndarray, path: Path) -> np.ndarray:
    """`(H, W)` of an array that may have one leading or trailing axis of length 1."""
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.ndim != 2 or array.size == 0:
        raise ImageError(f"{path}: an array of shape {array.shape}; a map is (H, W)")
    return array
