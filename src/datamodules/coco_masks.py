"""COCO's outlines as masks: polygons and run-length codes, checked before they are drawn.

pycocotools believes what it is given: runs that do not add up become other shapes or end the
process. So codes are decoded here, and polygons are checked before it draws them.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from src.errors import missing_extra

from .coco_file import EntryError, shortened

_LONGEST = 7  # characters of a run: 34 bits and a sign, more than any image needs
_FIRST, _LAST = 48, 111  # characters of a compressed code, 6 bits each
_FAR = 10  # sides of the image that a point may lie away from it


class Outline(NamedTuple):
    """A sound outline: polygons, or the lengths of runs down the columns, background first."""

    polygons: list[list[float]] | None
    runs: list[int] | None
    size: tuple[int, int]

    def area(self) -> float:
        """Pixels of a run-length code, exactly; of polygons what they enclose, parts added up."""
        if self.runs is not None:
            return float(sum(self.runs[1::2]))
        return sum(abs(_enclosed(polygon)) for polygon in self.polygons or ())

    def inside(self) -> bool:
        """Whether no point of it lies outside of the image."""
        height, width = self.size
        return all(
            min(polygon) >= 0 and max(polygon[::2]) <= width and max(polygon[1::2]) <= height
            for polygon in self.polygons or ()
        )

    def mask(self) -> np.ndarray:
        """Booleans `(H, W)`."""
        height, width = self.size
        if self.runs is not None:
            values = np.arange(len(self.runs)) % 2 == 1
            return np.repeat(values, self.runs).reshape(width, height).T
        masks = coco_masks()
        code = masks.merge(masks.frPyObjects(self.polygons, height, width))
        return np.asarray(masks.decode(code), dtype=bool)


def coco_masks() -> Any:
    """The module `pycocotools.mask`.

    Raises:
        UserError: The package is missing.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise missing_extra("COCO needs pycocotools", "coco") from error
    return mask


def read_outline(segmentation: Any, size: tuple[int, int]) -> Outline:
    """Check a `segmentation` of an image of `size`, (height, width).

    Raises:
        EntryError: Neither polygons nor a run-length code that adds up to the image.
    """
    if isinstance(segmentation, dict):
        return Outline(None, _runs(segmentation, size), size)
    if not isinstance(segmentation, list):
        raise EntryError(f"segmentation is {shortened(segmentation)}, no polygons and no code")
    for polygon in segmentation:
        _check_polygon(polygon, size)
    return Outline([list(map(float, polygon)) for polygon in segmentation], None, size)


def _check_polygon(polygon: Any, size: tuple[int, int]) -> None:
    if not isinstance(polygon, list):
        advice = "; polygons are a list of lists" if isinstance(polygon, int | float) else ""
        raise EntryError(f"segmentation holds {shortened(polygon)}, not a polygon{advice}")
    if not {*map(type, polygon)} <= {int, float}:
        raise EntryError(f"polygon {shortened(polygon)} is not x, y, x, y … in numbers")
    if len(polygon) % 2:
        raise EntryError(f"a polygon of {len(polygon)} numbers, which are not pairs of x and y")
    if len(polygon) < 6:
        raise EntryError(f"a polygon of {len(polygon) // 2} points; it takes 3")
    farthest = _FAR * max(size)
    if not (min(polygon) >= -farthest and max(polygon) <= farthest and _finite(polygon)):
        height, width = size
        raise EntryError(f"a polygon with points far outside of its image of {height} x {width}")


def _finite(polygon: Sequence[float]) -> bool:
    return math.isfinite(sum(polygon))


def _enclosed(polygon: Sequence[float]) -> float:
    xs, ys = polygon[::2], polygon[1::2]
    pairs = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)  # type: ignore[operator]
    return sum(x * v - u * y for x, y, u, v in pairs) / 2


def _runs(code: dict[str, Any], size: tuple[int, int]) -> list[int]:
    height, width = size
    stated = code.get("size")
    if not isinstance(stated, list) or stated != [height, width]:
        raise EntryError(
            f"a run-length code of size {shortened(stated)} on an image of [{height}, {width}]"
        )
    counts = code.get("counts")
    if isinstance(counts, str):
        runs = _decompressed(counts)
    elif isinstance(counts, list) and {*map(type, counts)} <= {int}:
        runs = counts
    else:
        raise EntryError(f"counts of a run-length code are {shortened(counts)}")
    if any(run < 0 for run in runs):
        raise EntryError("a run-length code with a negative run; it is damaged")
    if sum(runs) != height * width:
        raise EntryError(
            f"runs add up to {shortened(sum(runs))} pixels, the image has {height} x {width} = "
            f"{height * width}; the code is damaged or another image's"
        )
    return runs


def _decompressed(counts: str) -> list[int]:
    """The runs of COCO's compressed code: 5 bits a character, from the third run on differences."""
    runs: list[int] = []
    value = length = 0
    for character in counts:
        bits = ord(character)
        if not _FIRST <= bits <= _LAST:
            raise EntryError(f"a run-length code with the character {character!r}; it is damaged")
        bits -= _FIRST
        value |= (bits & 31) << (5 * length)
        length += 1
        if length > _LONGEST:
            raise EntryError("a run-length code with a run that never ends; it is damaged")
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << (5 * length)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = length = 0
    if length:
        raise EntryError("a run-length code that is cut within a run")
    return runs
