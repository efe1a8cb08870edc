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

Distances = npt.NDArray[np.uint16]  # (H, W) rows to the nearest foreground of the column, <= FAR
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

    A row falls into runs of background between foreground pixels, and nothing behind these is the
    nearest; of a run only the columns are looked at that a pixel with an error can be nearest to.
    """
    height, width = prediction.shape
    columns, starts = np.empty(width + 2, np.int64), np.empty(width + 2, np.int64)
    total = 0.0
    for y in range(height):
        grey, apart = prediction[y], distances[y]
        x = 0
        while x < width:
            if apart[x] == 0:
                x += 1
                continue
            stop, first, last = _run(grey, apart, levels, x)
            if first < last:
                low, high = _candidates(apart, x, stop, first, last)
                sites = _envelope(apart, low, high, columns, starts)
                total += _run_error(
                    grey, apart, levels, fading, first, last, columns, starts, sites
                )
            x = stop
    return total


@numba.njit(cache=True, nogil=True)
def _run(
    grey: npt.NDArray[np.uint8], apart: npt.NDArray[np.uint16], levels: Floats, start: int
) -> tuple[int, int, int]:
    """Where the run that starts here stops, and the span of its pixels with an error."""
    stop, first, last = start, len(grey), start
    while stop < len(grey) and apart[stop] != 0:
        if levels[grey[stop]] != 0:
            first, last = min(first, stop), stop + 1
        stop += 1
    return stop, first, last


@numba.njit(cache=True, nogil=True)
def _candidates(
    apart: npt.NDArray[np.uint16], start: int, stop: int, first: int, last: int
) -> tuple[int, int]:
    """Columns that can hold the nearest foreground of the columns first to last of a run."""
    low, high = max(start - 1, 0), min(stop + 1, len(apart))  # with the foreground at both ends
    reach = max(np.int64(apart[first]), np.int64(apart[last - 1]))
    for x in range(first, last):
        reach = max(reach, np.int64(apart[x]))
    return max(low, first - reach), min(high, last + reach)


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
def _run_error(
    grey: npt.NDArray[np.uint8],
    apart: npt.NDArray[np.uint16],
    levels: Floats,
    fading: Floats,
    first: int,
    last: int,
    columns: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    sites: int,
) -> float:
    total, site = 0.0, 0
    for x in range(first, last):
        value = levels[grey[x]]
        while site + 1 < sites and starts[site + 1] <= x:
            site += 1
        weight = 2.0
        if sites > 0:
            aside, rows = x - columns[site], np.int64(apart[columns[site]])
            square = aside * aside + rows * rows
            if square < len(fading):
                weight -= fading[square]
        total += value * weight
    return total
