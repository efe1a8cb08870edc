"""The one judgement of what a foreground mask is, and of the scale that its levels are in.

A file of gray levels may hold 0 and 1, 0 to 255 or its full 16 bits. One file alone is in the
smallest of these that holds its brightest level; files of one set are all in the scale of the
set's brightest, see `src.evaluation.scales` and `masks.mask_faults`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from src.datamodules.raster import KindError, eight_bits

# A soft mask is gray along its edges and hair; a photograph nearly everywhere. A matte may be of
# something that shines through, but somewhere it is wholly clear or opaque.
_MOST_GREY, _MOST_GREY_MATTE = 0.5, 0.99
# Below it a matte would be of nothing that can be seen; object numbers are.
_FAINT = 32
_LOW, _HIGH = 26, 229
# Every measure that thresholds the target does it here.
_FOREGROUND = 128
ALL_BLACK = "all black: no foreground"
MATTE_ADVICE = " (data.soft=true takes it for a matte)"
# Share of a JPEG's pixels, and of its gray ones, that lie on exactly even ground.
_EVEN_OF_ALL, _EVEN_OF_GRAY = 0.01, 0.3
SCALES = (1, 255, 65535)


class Scale(NamedTuple):
    """What a file's levels say of their full scale.

    least: The smallest of `SCALES` that holds them.
    most: What the depth of the file holds.
    """

    least: int
    most: int


def scale_of(levels: np.ndarray) -> Scale | None:
    """The scale of integer levels; None where they say nothing: floats, and all black."""
    if levels.dtype.kind in "fb" or (highest := int(levels.max())) <= 0:
        return None
    most = SCALES[-1] if levels.dtype.itemsize > 1 else 255
    return Scale(next((scale for scale in SCALES if highest <= scale), SCALES[-1]), most)


def mixed_scales(sets: Sequence[str], scales: Sequence[Scale | None]) -> list[str | None]:
    """Say of each file whose levels are in another scale than those of its set that they are."""
    of_set: dict[str, int] = {}
    for name, scale in zip(sets, scales, strict=True):
        of_set[name] = max(of_set.get(name, 0), scale.least if scale else 0)
    return [
        None
        if scale is None or scale.least == (full := min(of_set[name], scale.most))
        else f"its levels end at {scale.least}, those of other masks at {full}: one scale for a set"
        for name, scale in zip(sets, scales, strict=True)
    ]


def scaled(levels: np.ndarray, scale: int | None = None) -> np.ndarray:
    """Gray levels `(H, W)` as uint8, 255 = foreground.

    Args:
        levels: Booleans, uint8, uint16, floats from 0 to 1, or 32-bit integers up to 255.
        scale: Full scale of the set's levels, one of `SCALES`; None for the file's own.

    Raises:
        KindError: Levels beyond the scale.
    """
    kind, low, high = levels.dtype.kind, levels.min(), levels.max()
    if kind == "b":
        return levels.astype(np.uint8) * np.uint8(255)
    if kind == "f":
        if not (low >= 0 and high <= 1):  # also where either is nan
            raise KindError(
                f"a mask of kind 'F', float values from {float(low):g} to {float(high):g}; "
                "expected 0 to 1"
            )
        return np.rint(levels * 255).astype(np.uint8)
    if levels.dtype.itemsize > 2 and (low < 0 or high > 255):
        raise KindError(
            f"32-bit integers from {low} to {high}, whose full scale is not known; save 8-bit gray"
        )
    if scale is None:
        own = scale_of(levels)
        scale = own.least if own else 255
    if int(high) > (scale := min(scale, SCALES[-1] if levels.dtype.itemsize > 1 else 255)):
        raise KindError(f"levels up to {high}, where other files of the set end at {scale}")
    if scale > 255:
        return eight_bits(levels)
    narrow = levels.astype(np.uint8, copy=False)
    return narrow * np.uint8(255) if scale == 1 else narrow


def not_a_mask(mask: np.ndarray, *, jpeg: bool = False, soft: bool = False) -> str | None:
    """Say what makes a uint8 `(H, W)` no foreground mask whatever it is for, None if nothing.

    Args:
        mask: 255 = foreground.
        jpeg: It was compressed with loss, so that its levels are not exact.
        soft: It is a matte: any level is how much of a pixel is foreground.
    """
    brightest = int(mask.max())
    if 0 < brightest < (_FAINT if soft else _FOREGROUND):
        return (
            f"its brightest value is {brightest} of 255: a map of object numbers, which"
            " data=objects reads, or another range?"
        )
    if jpeg and not soft and _has_plateaus(mask):
        return "even gray areas in a JPEG: a map of classes or objects, which JPEG has blurred?"
    return None


def mask_fault(mask: np.ndarray, allow_empty: bool = False, soft: bool = False) -> str | None:
    """Say what makes a uint8 mask `(H, W)` unfit to learn from or score against, None if nothing.

    Args:
        mask: 255 = foreground.
        allow_empty: Accept an all-black mask, for sets with images of nothing.
        soft: It is a matte, see `not_a_mask`.
    """
    if int(mask.max()) == 0:
        return None if allow_empty else f"{ALL_BLACK} (data.allow_empty=true accepts such images)"
    if (fault := not_a_mask(mask, soft=soft)) is not None:
        return fault
    counts = cv2.calcHist([mask], [0], None, [256], [0, 256])[:, 0]
    gray = counts[_LOW : _HIGH + 1].sum() / mask.size
    if gray > (_MOST_GREY_MATTE if soft else _MOST_GREY):
        advice = "" if soft else MATTE_ADVICE
        return (
            f"{gray:.0%} of its pixels are neither black nor white: a photograph, not a mask?"
            f"{advice}"
        )
    return None


def _has_plateaus(mask: np.ndarray) -> bool:
    """Whether much of the gray is exactly even, as objects are and soft edges are not."""
    gray = cv2.inRange(mask, _LOW, _HIGH)
    count = cv2.countNonZero(gray)
    if count < _EVEN_OF_ALL * mask.size:
        return False
    square = np.ones((5, 5), np.uint8)
    rise = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, square)
    even = cv2.countNonZero(cv2.bitwise_and(gray, cv2.inRange(rise, 0, 1)))
    return even > max(_EVEN_OF_ALL * mask.size, _EVEN_OF_GRAY * count)
