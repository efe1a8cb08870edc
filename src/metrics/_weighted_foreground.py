"""Smoothed errors on the foreground, for the weighted F-measure.

All compiled code that calls each other is in this file: numba's cache on disk notices no change in
other files.
"""

import numba
import numpy as np
import numpy.typing as npt

from ._pair import Grey
from ._weighted_background import Distances

_REACH = 3  # of the 7×7 smoothing
_NEAR = 2 * _REACH**2  # squared distance of the farthest pixel that smoothing can reach
_SIDE = 4  # columns to each side in which a nearest pixel that near can lie

Floats = npt.NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def foreground_error(
    prediction: Grey, distances: Distances, misses: Floats, smoothing: Floats
) -> float:
    """Sum over the foreground of the smaller of the error and the smoothed error.

    Rows are smoothed along x into a ring of seven, from which the middle row is smoothed along y,
    all of it only where foreground pixels with an error need it.
    """
    height, width = prediction.shape
    spans = _error_spans(prediction, distances, misses)
    errors = np.zeros(width + 2 * _REACH)
    squares = np.full(width + 2 * _SIDE, _NEAR + 1, np.int32)
    keys = np.empty(width, np.int32)
    ring = np.zeros((2 * _REACH + 1, width))
    total = 0.0
    for y in range(height + _REACH):
        start, stop = _joint_span(spans, y, width)
        smoothed = ring[y % len(ring)]
        if y >= height:
            smoothed[:] = 0.0
        elif start < stop:
            first, last = max(start - _REACH, 0), min(stop + _REACH, width)
            for x in range(first, last):
                errors[_REACH + x] = misses[prediction[y, x]] if distances[y, x] == 0 else 0.0
            _nearest_columns(distances[y], first, last, squares, keys)
            _copy_errors(prediction, distances, misses, y, first, last, keys, errors)
            _smooth_along_x(errors, smoothing, start, stop, smoothed)
        centre = y - _REACH
        if centre >= 0 and spans[centre, 0] < spans[centre, 1]:
            start, stop = spans[centre]
            grey, apart = prediction[centre, start:stop], distances[centre, start:stop]
            total += _row_error(grey, apart, misses, ring[:, start:stop], centre, smoothing)
    return total


@numba.njit(cache=True, nogil=True)
def _error_spans(prediction: Grey, distances: Distances, misses: Floats) -> npt.NDArray[np.int64]:
    """Of each row, the columns from the first to behind the last foreground pixel with an error."""
    height, width = prediction.shape
    spans = np.zeros((height, 2), np.int64)
    for y in range(height):
        grey, apart = prediction[y], distances[y]
        start, stop = 0, width
        while start < width and (apart[start] != 0 or misses[grey[start]] == 0):
            start += 1
        while stop > start and (apart[stop - 1] != 0 or misses[grey[stop - 1]] == 0):
            stop -= 1
        spans[y, 0], spans[y, 1] = start, stop
    return spans


@numba.njit(cache=True, nogil=True)
def _joint_span(spans: npt.NDArray[np.int64], y: int, width: int) -> tuple[int, int]:
    start, stop = width, 0
    for row in range(max(y - _REACH, 0), min(y + _REACH + 1, len(spans))):
        if spans[row, 0] < spans[row, 1]:
            start, stop = min(start, spans[row, 0]), max(stop, spans[row, 1])
    return start, stop


@numba.njit(cache=True, nogil=True)
def _nearest_columns(
    apart: npt.NDArray[np.uint16],
    first: int,
    last: int,
    squares: npt.NDArray[np.int32],
    keys: npt.NDArray[np.int32],
) -> None:
    """Write `16 * squared distance + column offset + 4` of the nearest foreground pixel.

    Its minimum over the nine columns that can hold it breaks ties by the lowest column.
    """
    for x in range(max(first - _SIDE, 0), min(last + _SIDE, len(apart))):
        near = np.int32(min(apart[x], np.uint16(_SIDE + 1)))
        squares[_SIDE + x] = near * near
    keys[first:last] = 16 * (_NEAR + 1)
    for k in range(2 * _SIDE + 1):
        column = np.int32(16 * (k - _SIDE) * (k - _SIDE) + k)
        for x in range(first, last):
            keys[x] = min(keys[x], np.int32(np.int32(16) * squares[x + k] + column))


@numba.njit(cache=True, nogil=True)
def _copy_errors(
    prediction: Grey,
    distances: Distances,
    misses: Floats,
    y: int,
    first: int,
    last: int,
    keys: npt.NDArray[np.int32],
    errors: Floats,
) -> None:
    """Give background pixels that smoothing can reach the error of their nearest foreground."""
    for x in range(first, last):
        if distances[y, x] == 0 or keys[x] >= 16 * (_NEAR + 1):
            continue
        column = x + (keys[x] & 15) - _SIDE
        apart = np.int64(distances[y, column])
        row = y - apart  # of two equally near rows the lower index, as SciPy's transform does
        if row < 0 or distances[row, column] != 0:
            row = y + apart
        errors[_REACH + x] = misses[prediction[row, column]]


@numba.njit(cache=True, nogil=True)
def _smooth_along_x(
    errors: Floats, smoothing: Floats, start: int, stop: int, smoothed: Floats
) -> None:
    far, mid, near, centre = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    for x in range(start, stop):
        value = far * (errors[x] + errors[x + 6]) + mid * (errors[x + 1] + errors[x + 5])
        smoothed[x] = value + near * (errors[x + 2] + errors[x + 4]) + centre * errors[x + 3]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _row_error(
    grey: npt.NDArray[np.uint8],
    apart: npt.NDArray[np.uint16],
    misses: Floats,
    ring: Floats,
    centre: int,
    smoothing: Floats,
) -> float:
    a, b, c = ring[(centre + 4) % 7], ring[(centre + 5) % 7], ring[(centre + 6) % 7]
    d, e, f, g = (
        ring[centre % 7],
        ring[(centre + 1) % 7],
        ring[(centre + 2) % 7],
        ring[(centre + 3) % 7],
    )
    far, mid, near, middle = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    total = 0.0
    for x in range(len(grey)):
        value = far * (a[x] + g[x]) + mid * (b[x] + f[x]) + near * (c[x] + e[x]) + middle * d[x]
        total += min(value, misses[grey[x]]) if apart[x] == 0 else 0.0
    return total
