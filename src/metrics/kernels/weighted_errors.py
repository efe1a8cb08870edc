"""Errors weighted by distance, on background and foreground, for the weighted F-measure."""

import math

import numba
import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray

FAR = 256  # from here on 0.5^(distance / 5) is below the last digit of what it is taken from
# The first column. A plain 0 would have numba compile what takes it once more, for constants.
FIRST = np.int64(0)
_GAP = 16  # errors farther apart are looked at apart: their nearest pixels are, mostly

_FEW = 256  # columns that are compared sooner than an envelope of them is made
_TOO_FAR = FAR**2

Distances = npt.NDArray[np.uint16]  # (H, W) rows to the nearest foreground of the column, <= FAR
Squares = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
_REACH = 3  # of the 7×7 smoothing
_OUT_OF_REACH = 16 * (2 * _REACH**2 + 1)  # key of a pixel that smoothing cannot reach
_SIDE = 4  # columns to each side in which a nearest pixel that near can lie
_BLOCK = 32  # columns that are looked at or left out together
Blocks = npt.NDArray[np.bool_]  # (H, blocks of a row)
Keys = npt.NDArray[np.int16]


@numba.njit(cache=True, nogil=True)
def column_distances(target: Gray) -> Distances:
    """Rows from each pixel to the nearest foreground pixel of its column, `FAR` if farther."""
    height, width = target.shape
    distances = np.empty((height, width), np.uint16)
    one, far = np.uint16(1), np.uint16(FAR)
    above = np.full(width, far)
    for y in range(height):
        gray, here = target[y], distances[y]
        for x in range(width):
            farther = min(np.uint16(above[x] + one), far)
            here[x] = np.uint16(0) if gray[x] > FOREGROUND_ABOVE else farther
        above = here
    for y in range(height - 2, -1, -1):
        here, below = distances[y], distances[y + 1]
        for x in range(width):
            here[x] = min(here[x], np.uint16(below[x] + one))
    return distances


@numba.njit(cache=True, nogil=True)
def background_error(
    prediction: Gray, distances: Distances, levels: Floats, fading: Floats
) -> float:
    """Sum over the background of `value * (2 - 0.5^(distance / 5))`.

    Rows fall into stretches of errors, and of a row only the columns are looked at that can hold
    the nearest foreground of a stretch.
    """
    height, width = prediction.shape
    squares, work = np.empty(width, np.int32), np.empty((2, width), np.int64)
    total = 0.0
    for y in range(height):
        gray, apart = prediction[y], distances[y]
        last = FIRST
        while last < width:
            first, last = _next_errors(gray, apart, levels, last)
            if first == last:
                continue
            low, high = _candidates(apart, first, last)
            nearest = squares[first:last]
            if high - low <= _FEW:
                _compare_all(apart, low, high, first, nearest)
            else:
                _compare_envelope(apart, low, high, first, nearest, work[0], work[1])
            total += _stretch_error(gray[first:last], nearest, levels, fading)
    return total


@numba.njit(cache=True, nogil=True)
def _next_errors(
    gray: npt.NDArray[np.uint8], apart: npt.NDArray[np.uint16], levels: Floats, column: int
) -> tuple[int, int]:
    """The next stretch of background whose errors lie less than `_GAP` columns apart."""
    width = len(gray)
    first = column
    while first < width and (apart[first] == 0 or levels[gray[first]] == 0):
        first += 1
    x = last = first
    while x < width and apart[x] != 0 and x - last < _GAP:
        x += 1
        if levels[gray[x - 1]] != 0:
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
    gray: npt.NDArray[np.uint8], squares: Squares, levels: Floats, fading: Floats
) -> float:
    total = 0.0
    for x in range(len(gray)):
        fade = fading[squares[x]] if squares[x] < len(fading) else 0.0
        total += levels[gray[x]] * (2.0 - fade)
    return total


@numba.njit(cache=True, nogil=True)
def foreground_error(
    prediction: Gray, distances: Distances, misses: Floats, smoothing: Floats
) -> float:
    """Sum over the foreground of the smaller of the error and the smoothed error.

    Rows are smoothed along x into a ring of seven, from which the middle row is smoothed along y,
    all of it only in blocks where foreground pixels with an error need it.

    Args:
        prediction: `(H, W)`.
        distances: Of `column_distances`, 0 on the foreground.
        misses: Error of a foreground pixel by its gray level, `(256,)`.
        smoothing: The seven weights of one axis.
    """
    height, width = prediction.shape
    blocks = _error_blocks(prediction, distances, misses)
    errors = np.zeros(width + 2 * _REACH)
    squares = np.full(width + 2 * _SIDE, _OUT_OF_REACH, np.int16)
    keys = np.empty(width, np.int16)
    ring = np.zeros((2 * _REACH + 1, width))
    total = 0.0
    for y in range(height + _REACH):
        smoothed, center = ring[y % len(ring)], y - _REACH
        if y >= height:
            smoothed[:] = 0.0
        else:
            needed = _around(blocks, y)
            start, stop = _next_stretch(needed, FIRST, width)
            while start < stop:
                _write_errors(prediction, distances, misses, y, start, stop, squares, keys, errors)
                _smooth_along_x(errors, smoothing, start, stop, smoothed)
                start, stop = _next_stretch(needed, stop, width)
        if center >= 0:
            start, stop = _next_stretch(blocks[center], FIRST, width)
            while start < stop:
                gray, apart = prediction[center, start:stop], distances[center, start:stop]
                rows = ring[:, start:stop]
                total += _smaller_errors(gray, apart, misses, rows, center, smoothing)
                start, stop = _next_stretch(blocks[center], stop, width)
    return total


@numba.njit(cache=True, nogil=True)
def _error_blocks(prediction: Gray, distances: Distances, misses: Floats) -> Blocks:
    """Of each row, which blocks of columns hold a foreground pixel with an error.

    Blocks without one may be among them if two gray levels in use stand for 1.
    """
    perfect = 0
    while perfect < len(misses) and misses[perfect] != 0:
        perfect += 1
    height, width = prediction.shape
    blocks = np.zeros((height, (width + _BLOCK - 1) // _BLOCK), np.bool_)
    for y in range(height):
        for block in range(blocks.shape[1]):
            columns = slice(block * _BLOCK, min((block + 1) * _BLOCK, width))
            gray, apart = prediction[y, columns], distances[y, columns]
            found = np.uint8(0)
            for x in range(len(gray)):
                found |= np.uint8(apart[x] == 0) & np.uint8(gray[x] != perfect)
            blocks[y, block] = found != 0
    return blocks


@numba.njit(cache=True, nogil=True)
def _around(blocks: Blocks, y: int) -> npt.NDArray[np.bool_]:
    """The blocks of row `y` that smoothing of a row with an error there will read."""
    needed = np.zeros(blocks.shape[1], np.bool_)
    for row in range(max(y - _REACH, 0), min(y + _REACH + 1, len(blocks))):
        needed |= blocks[row]
    return needed


@numba.njit(cache=True, nogil=True)
def _next_stretch(needed: npt.NDArray[np.bool_], column: int, width: int) -> tuple[int, int]:
    """First and last-but-one column of the next unbroken blocks; equal if there are no more."""
    start = (column + _BLOCK - 1) // _BLOCK
    while start < len(needed) and not needed[start]:
        start += 1
    stop = start
    while stop < len(needed) and needed[stop]:
        stop += 1
    return min(start * _BLOCK, width), min(stop * _BLOCK, width)


@numba.njit(cache=True, nogil=True)
def _write_errors(
    prediction: Gray,
    distances: Distances,
    misses: Floats,
    y: int,
    start: int,
    stop: int,
    squares: Keys,
    keys: Keys,
    errors: Floats,
) -> None:
    """Write what smoothing the columns start to stop reads: `errors[x + 3]` belongs to column x."""
    first, last = max(start - _REACH, 0), min(stop + _REACH, prediction.shape[1])
    gray, apart = prediction[y, first:last], distances[y, first:last]
    result = errors[_REACH + first : _REACH + last]
    for x in range(len(gray)):
        result[x] = misses[gray[x]] if apart[x] == 0 else 0.0
    _nearest_columns(distances[y], first, last, squares, keys)
    _copy_errors(prediction, distances, misses, y, first, keys[first:last], result)


@numba.njit(cache=True, nogil=True)
def _nearest_columns(
    apart: npt.NDArray[np.uint16], first: int, last: int, squares: Keys, keys: Keys
) -> None:
    """Write `16 * squared distance + column offset + 4` of the nearest foreground pixel.

    Its minimum over the nine columns that can hold it breaks ties by the lowest column.
    """
    for x in range(max(first - _SIDE, 0), min(last + _SIDE, len(apart))):
        near = np.int16(min(apart[x], np.uint16(_SIDE + 1)))
        squares[_SIDE + x] = np.int16(16) * near * near
    found = keys[first:last]
    found[:] = _OUT_OF_REACH
    for k in range(2 * _SIDE + 1):
        column = np.int16(16 * (k - _SIDE) * (k - _SIDE) + k)
        shifted = squares[first + k : last + k]
        for x in range(len(found)):
            found[x] = min(found[x], np.int16(shifted[x] + column))


@numba.njit(cache=True, nogil=True)
def _copy_errors(
    prediction: Gray,
    distances: Distances,
    misses: Floats,
    y: int,
    first: int,
    keys: Keys,
    errors: Floats,
) -> None:
    """Give background pixels that smoothing can reach the error of their nearest foreground."""
    for k in range(len(keys)):
        key = np.int64(keys[k])
        if key < 16 or key >= _OUT_OF_REACH:  # foreground itself, or too far from any
            continue
        column = first + k + (key & 15) - _SIDE
        apart = np.int64(distances[y, column])
        row = y - apart  # of two equally near rows the lower index, as SciPy's transform does
        if row < 0 or distances[row, column] != 0:
            row = y + apart
        errors[k] = misses[prediction[row, column]]


@numba.njit(cache=True, nogil=True)
def _smooth_along_x(
    errors: Floats, smoothing: Floats, start: int, stop: int, smoothed: Floats
) -> None:
    far, mid, near, center = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    a, b, c = errors[start:stop], errors[start + 1 :], errors[start + 2 :]
    d, e, f, g = errors[start + 3 :], errors[start + 4 :], errors[start + 5 :], errors[start + 6 :]
    result = smoothed[start:stop]
    for x in range(len(a)):
        result[x] = far * (a[x] + g[x]) + mid * (b[x] + f[x]) + near * (c[x] + e[x]) + center * d[x]


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _smaller_errors(
    gray: npt.NDArray[np.uint8],
    apart: npt.NDArray[np.uint16],
    misses: Floats,
    ring: Floats,
    center: int,
    smoothing: Floats,
) -> float:
    a, b, c = ring[(center + 4) % 7], ring[(center + 5) % 7], ring[(center + 6) % 7]
    d, e, f, g = (
        ring[center % 7],
        ring[(center + 1) % 7],
        ring[(center + 2) % 7],
        ring[(center + 3) % 7],
    )
    far, mid, near, middle = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    total = 0.0
    for x in range(len(gray)):
        value = far * (a[x] + g[x]) + mid * (b[x] + f[x]) + near * (c[x] + e[x]) + middle * d[x]
        total += min(value, misses[gray[x]]) if apart[x] == 0 else 0.0
    return total
