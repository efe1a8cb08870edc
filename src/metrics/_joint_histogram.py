"""One joint histogram of a pair of maps, from which most metrics follow without the pixels."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from src.metrics._maps import (
    FOREGROUND_ABOVE,
    Counts,
    Gray,
    Levels,
    Mask,
    min_max_levels,
    require_pair,
)
from src.metrics.kernels import compiled

_BANKS = 4  # equal neighbors count in different tables: a counter is not waited for
_LAST_BANK, _EIGHT = np.uintp(_BANKS - 1), np.uintp(8)


@dataclass(frozen=True)
class JointHistogram:
    """A prediction, its target and their joint histogram.

    Attributes:
        prediction: uint8 `(H, W)`, C-contiguous.
        truth: uint8 `(H, W)`, C-contiguous; foreground is > 128.
        split: First row and first column right of and below the target's centroid.
        quadrants: `(2, 2, 2, 256)`: lower half, right half, foreground of the target, gray level.
    """

    prediction: Gray
    target: Gray
    split: tuple[int, int]
    quadrants: Counts

    @cached_property
    def histogram(self) -> Counts:
        """`(2, 256)`: background and foreground of the target, gray level of the prediction."""
        return np.asarray(self.quadrants.sum(axis=(0, 1)))


def prepare(prediction: Gray, target: Gray) -> JointHistogram:
    """Count both maps in two passes over the pixels.

    Args:
        prediction: uint8 `(H, W)`.
        truth: uint8 `(H, W)`; foreground is > 128.

    Raises:
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    require_pair(prediction, target)
    prediction, target = np.ascontiguousarray(prediction), np.ascontiguousarray(target)
    area, rows, columns = _moments(target)
    height, width = target.shape
    if area == 0:
        split = round(height / 2) + 1, round(width / 2) + 1
    else:
        split = round(rows / area) + 1, round(columns / area) + 1
    split = min(split[0], height), min(split[1], width)
    return JointHistogram(prediction, target, split, _quadrants(prediction, target, *split))


def levels_of(histogram: Counts, raw: bool = False) -> Levels:
    """The value in [0, 1] of each gray level, `(256,)`.

    Args:
        histogram: `(2, 256)` of the pair.
        raw: `v / 255` as it is, instead of PySODMetrics' min-max normalization per image.
    """
    if raw:
        return np.arange(256) / 255
    present = np.flatnonzero(histogram.any(axis=0))
    return min_max_levels(present[[0, -1]].astype(np.uint8))


def threshold_counts(histogram: Counts, levels: Levels) -> Counts:
    """Pixels that a threshold turns on, `(..., 256)`, at thresholds 0 to 255.

    A pixel is on where its value, times 255 and truncated, is at least the threshold.

    Args:
        histogram: `(..., 256)` pixels by gray level.
        levels: The value of each gray level, `(256,)`, not falling.
    """
    first_on = np.searchsorted((levels * 255).astype(np.uint8), np.arange(256))
    from_level_on = np.zeros((*histogram.shape[:-1], 257), np.int64)
    from_level_on[..., :-1] = histogram[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return np.asarray(from_level_on[..., first_on])


def adaptive_levels(histogram: Counts, levels: Levels) -> Mask:
    """Which gray levels `(256,)` are at or above twice the mean value, at most 1.

    In whole numbers: a level exactly at the threshold is on. PySODMetrics leaves it there to the
    last bits of a sum of quotients over the pixels; everywhere else the two agree.

    Args:
        histogram: `(2, 256)` of the pair.
        levels: The value of each gray level, `(256,)`, of `levels_of`.
    """
    lowest, highest = np.flatnonzero(levels == 0)[-1], np.flatnonzero(levels == 1)[0]
    steps = np.clip(np.arange(256), lowest, highest) - lowest  # values times their common divisor
    total = histogram.sum(axis=0)
    at_least = steps * total.sum() >= 2 * (total @ steps)
    return np.asarray(at_least | (steps == highest - lowest))


def _moments(target: Gray) -> tuple[int, int, int]:
    """Foreground pixels, and the sums of their rows and columns."""
    on = (target > FOREGROUND_ABOVE).view(np.uint8)
    # OpenCV adds up bytes ten times as fast as numpy.
    of_rows, of_columns = (
        cv2.reduce(on, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.int64)
        for axis in (1, 0)
    )
    rows, columns = (int(of @ np.arange(len(of))) for of in (of_rows, of_columns))
    return int(of_rows.sum()), rows, columns


def _quadrants(prediction: Gray, target: Gray, top: int, left: int) -> Counts:
    banks = np.zeros((2, 2, _BANKS, 512), np.uint32)
    _count(prediction, target, top, left, banks)
    return np.asarray(banks.sum(axis=2, dtype=np.int64).reshape(2, 2, 2, 256))


@compiled
def _count(
    prediction: Gray, target: Gray, top: int, left: int, banks: npt.NDArray[np.uint32]
) -> None:
    """Count into `(2, 2, banks, 512)`: lower half, right half, gray level (+ 256 on the target)."""
    height, width = target.shape
    for y in range(height):
        gray, true, lower = prediction[y], target[y], np.intp(y >= top)
        for right in range(2):
            begin, end = (left, width) if right else (0, left)
            counts = banks[lower, right]
            for x in range(np.uintp(begin), np.uintp(end)):
                on = np.uintp(true[x] > FOREGROUND_ABOVE)
                counts[x & _LAST_BANK, gray[x] + (on << _EIGHT)] += np.uint32(1)
