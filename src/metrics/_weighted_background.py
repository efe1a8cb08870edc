"""Errors on the background weighted by distance, for the weighted F-measure.

All compiled code that calls each other is in this file: numba's cache on disk notices no change in
other files.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from ._pair import FOREGROUND_ABOVE, Grey

FAR = 256  # from here on 0.5^(distance / 5) is below the last digit of what it is taken from
_GAP = 16  # errors farther apart are looked at apart: their nearest pixels are, mostly

_FEW = 256  # columns that are compared sooner than an envelope of them is made
_TOO_FAR = FAR**2

Distances = npt.NDArray[np.uint16]  # (H, W) rows to the nearest foreground of the column, <= FAR
Squares = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def column_distances(truth: Grey) -> Distances:
    """Rows from each pixel to the nearest foreground pixel of its column, `FAR` if farther."""
    height, width = truth.shape
    distances = np.empty((height, width), np.uint16)
    one, far = np.uint16(1), np.uint16(FAR)
    above = np.full(width, far)
    for y in range(height):
        grey, here = truth[y], distances[y]
        for x in range(width):
            farther = min(np.uint16(above[x] + one), far)
            here[x] = np.uint16(0) if grey[x] > FOREGROUND_ABOVE else farther
        above = here
    for y in range(height - 2, -1, -1):
        here, below = distances[y], distances[y + 1]
        for x in range(width):
            here[x] = min(here[x], np.uint16(below[x] + one))
    return distances


@numba.njit(cache=True, nogil=True)
def background_error(
    prediction: Grey, distances: Distances, levels: Floats, fading: Floats
) -> float:
    """Sum over the background of `value * (2 - 0.5^(distance / 5))`.

    Rows fall into stretches of errors, and of a row only the columns are looked at that can hold
    the nearest foreground of a stretch.
    """
    height, width = prediction.shape
    squares, work = np.empty(width, np.int32), np.empty((2, width), np.int64)
    total = 0.0
    for y in range(height):
        grey, apart = prediction[y], distances[y]
        last = 0
        while last < width:
            first, last = _next_errors(grey, apart, levels, last)
            if first == last:
                continue
            low, high = _candidates(apart, first, last)
            nearest = squares[first:last]
            if high - low <= _FEW:
                _compare_all(apart, low, high, first, nearest)
            else:
                _compare_envelope(apart, low, high, first, nearest, work[0], work[1])
            total += _stretch_error(grey[first:last], nearest, levels, fading)
    return total


@numba.njit(cache=True, nogil=True)
def _next_errors(
    grey: npt.NDArray[np.uint8], apart: npt.NDArray[np.uint16], levels: Floats, column: int
) -> tuple[int, int]:
    """The next stretch of background whose errors lie less than `_GAP` columns apart."""
    width = len(grey)
    first = column
    while first < width and (apart[first] == 0 or levels[grey[first]] == 0):
        first += 1
    x = last = first
    while x < width and apart[x] != 0 and x - last < _GAP:
        x += 1
        if levels[grey[x - 1]] != 0:
            last = x
    return first, last


@numba.njit(cache=True, nogil=True)
def _candidates(apart: npt.NDArray[np.uint16], first: int, last: int) -> tuple[int, int]:
    """Columns that can hold the nearest foreground of the background columns first to last."""
    reach = 0
    for x in range(first, last):
        reach = max(reach, np.int64(apart[x]))
    low, high = first, last
    start, stop = max(first - reach, 0), min(last + reach, len(apart))
    while low > start and apart[low] != 0:  # nothing beyond foreground in the row is nearer
        low -= 1
    while high < stop and apart[high - 1] != 0:
        high += 1
    return low, high


@numba.njit(cache=True, nogil=True)
def _compare_all(
    apart: npt.NDArray[np.uint16], low: int, high: int, first: int, squares: Squares
) -> None:
    """Write the squared distances of the columns from `first` on, `_TOO_FAR` if all are far."""
    squares[:] = _TOO_FAR
    for column in range(low, high):
        rows = np.int32(apart[column])
        if rows >= FAR:
            continue
        aside = np.int32(first - column)
        for k in range(len(squares)):
            across = np.int32(aside + np.int32(k))
            squares[k] = min(squares[k], np.int32(rows * rows + across * across))


@numba.njit(cache=True, nogil=True)
def _compare_envelope(
    apart: npt.NDArray[np.uint16],
    low: int,
    high: int,
    first: int,
    squares: Squares,
    columns: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
) -> None:
    """As `_compare_all`, in time linear in the number of columns."""
    sites, site = _envelope(apart, low, high, columns, starts), 0
    squares[:] = _TOO_FAR
    for k in range(len(squares) if sites > 0 else 0):
        while site + 1 < sites and starts[site + 1] <= first + k:
            site += 1
        aside, rows = first + k - columns[site], np.int64(apart[columns[site]])
        squares[k] = aside * aside + rows * rows


@numba.njit(cache=True, nogil=True)
def _envelope(
    apart: npt.NDArray[np.uint16],
    low: int,
    high: int,
    columns: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
) -> int:
    """Write the columns that hold a nearest pixel and the first column each of them serves.

    The lower envelope of parabolas of Meijster, Roerdink and Hesselink, "A General Algorithm for
    Computing Distance Transforms in Linear Time", 2000.
    """
    sites = 0
    for x in range(low, high):
        rows = np.int64(apart[x])
        if rows >= FAR:
            continue
        start = low
        while sites > 0:
            column = columns[sites - 1]
            other = np.int64(apart[column])
            ahead = float((x - column) * (x + column) + (rows - other) * (rows + other))
            start = math.floor(ahead / float(2 * (x - column))) + 1
            if start > starts[sites - 1]:
                break
            sites -= 1
            start = low
        if start < high:
            columns[sites], starts[sites] = x, start
            sites += 1
    return sites


@numba.njit(cache=True, nogil=True)
def _stretch_error(
    grey: npt.NDArray[np.uint8], squares: Squares, levels: Floats, fading: Floats
) -> float:
    total = 0.0
    for x in range(len(grey)):
        fade = fading[squares[x]] if squares[x] < len(fading) else 0.0
        total += levels[grey[x]] * (2.0 - fade)
    return total
