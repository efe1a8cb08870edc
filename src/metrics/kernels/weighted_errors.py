"""Errors weighted by distance, on background and foreground, for the weighted F-measure."""

import math

import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray
from src.metrics.kernels import compiled, compiled_part, compiled_sum

FAR = 256  # from here on 0.5^(distance / 5) is below the last digit of what it is taken from
_GAP = 16  # errors farther apart are looked at apart: their nearest pixels are, mostly

_FEW = 256  # columns that are compared sooner than an envelope of them is made
_TOO_FAR = FAR**2

Distances = npt.NDArray[np.uint16]  # (H, W) rows to the nearest foreground of the column, <= FAR
Squares = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_REACH = 3  # of the 7×7 smoothing
_1, _2, _3, _4, _5, _6 = (np.uintp(k) for k in range(1, 7))
_OUT_OF_REACH = 16 * (2 * _REACH**2 + 1)  # key of a pixel that smoothing cannot reach
_SIDE = 4  # columns to each side in which a nearest pixel that near can lie
_BLOCK = 32  # columns that are looked at or left out together
Blocks = npt.NDArray[np.bool_]  # (H, blocks of a row)
Keys = npt.NDArray[np.int16]


def column_distances(target: Gray) -> Distances:
    """Rows from each pixel to the nearest foreground pixel of its column, `FAR` if farther."""
    distances = np.empty(target.shape, np.uint16)
    _column_distances(target, np.full(target.shape[1], FAR, np.uint16), distances)
    return distances


def background_error(
    prediction: Gray, distances: Distances, levels: Floats, fading: Floats
) -> float:
    """Sum over the background of `value * (2 - 0.5^(distance / 5))`.

    Args:
        prediction: `(H, W)`.
        distances: Of `column_distances`, 0 on the foreground.
        levels: Error of a background pixel by its gray level, `(256,)`.
        fading: `0.5^(distance / 5)` by squared distance; 0 beyond.
    """
    width = prediction.shape[1]
    squares, work = np.empty(width, np.int32), np.empty((2, width), np.int64)
    return float(_background_error(prediction, distances, levels, fading, squares, *work))


def foreground_error(
    prediction: Gray, distances: Distances, misses: Floats, smoothing: Floats
) -> float:
    """Sum over the foreground of the smaller of the error and the smoothed error.

    Args:
        prediction: `(H, W)`.
        distances: Of `column_distances`, 0 on the foreground.
        misses: Error of a foreground pixel by its gray level, `(256,)`.
        smoothing: The seven weights of one axis.
    """
    width = prediction.shape[1]
    blocks = _error_blocks(prediction, distances, misses)
    needed = blocks.copy()  # with those that smoothing of a row with an error there will read
    for rows in range(1, _REACH + 1):
        needed[rows:] |= blocks[:-rows]
        needed[:-rows] |= blocks[rows:]
    squares = np.full(width + 2 * _SIDE, _OUT_OF_REACH, np.int16)
    keys, sides = np.empty(width, np.int16), np.arange(-_SIDE, _SIDE + 1, dtype=np.int16)
    errors, ring = np.zeros(width + 2 * _REACH), np.zeros((2 * _REACH + 1, width))
    work = squares, keys, sides, errors, ring
    return float(_foreground_error(prediction, distances, misses, smoothing, blocks, needed, *work))


def _error_blocks(prediction: Gray, distances: Distances, misses: Floats) -> Blocks:
    """Of each row, which blocks of columns hold a foreground pixel with an error.

    Blocks without one may be among them if two gray levels in use stand for 1.
    """
    height, width = prediction.shape
    wrong = np.zeros((height, -(-width // _BLOCK) * _BLOCK), np.bool_)
    np.equal(distances, 0, out=wrong[:, :width])
    perfect = np.flatnonzero(misses == 0)
    if perfect.size:
        wrong[:, :width] &= prediction != perfect[0]
    return np.packbits(wrong, axis=1).view(np.uint32) != 0


@compiled
def _column_distances(target: Gray, above: npt.NDArray[np.uint16], distances: Distances) -> None:
    height, width = target.shape
    one, far = np.uint16(1), np.uint16(FAR)
    for y in range(height):
        gray, here = target[y], distances[y]
        for x in range(width):
            farther = np.uint16(above[x] + one)
            farther = farther if farther < far else far
            here[x] = np.uint16(0) if gray[x] > FOREGROUND_ABOVE else farther
        above = here
    for y in range(height - 2, -1, -1):
        here, below = distances[y], distances[y + 1]
        for x in range(width):
            farther = np.uint16(below[x] + one)
            here[x] = farther if farther < here[x] else here[x]


@compiled
def _background_error(
    prediction: Gray,
    distances: Distances,
    levels: Floats,
    fading: Floats,
    squares: Squares,
    columns: Places,
    starts: Places,
) -> float:
    """Rows fall into stretches of errors, and of a row only the columns are looked at that can hold
    the nearest foreground of a stretch.
    """
    height, width = prediction.shape
    total = 0.0
    for y in range(height):
        gray, apart = prediction[y], distances[y]
        last = 0
        while last < width:
            first, last = _next_errors(gray, apart, levels, last)
            if first == last:
                continue
            low, high = _candidates(apart, first, last)
            for x in range(np.uintp(first), np.uintp(last)):
                squares[x] = _TOO_FAR
            if high - low <= _FEW:
                _compare_all(apart, low, high, first, last, squares)
            else:
                _compare_envelope(apart, low, high, first, last, squares, columns, starts)
            total += _stretch_error(gray, first, last, squares, levels, fading)
    return total


@compiled_part
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


@compiled_part
def _candidates(apart: npt.NDArray[np.uint16], first: int, last: int) -> tuple[int, int]:
    """Columns that can hold the nearest foreground of the background columns first to last."""
    reach = 0
    for x in range(first, last):
        reach = np.int64(apart[x]) if apart[x] > reach else reach
    low, high = first, last
    start = first - reach if first > reach else 0
    stop = last + reach if last + reach < len(apart) else len(apart)
    while low > start and apart[low] != 0:  # nothing beyond foreground in the row is nearer
        low -= 1
    while high < stop and apart[high - 1] != 0:
        high += 1
    return low, high


@compiled_part
def _compare_all(
    apart: npt.NDArray[np.uint16], low: int, high: int, first: int, last: int, squares: Squares
) -> None:
    """Write the squared distances of the columns first to last, of those that are not far."""
    for column in range(low, high):
        rows, place = np.int32(apart[column]), np.int32(column)
        if rows >= FAR:
            continue
        for x in range(np.uintp(first), np.uintp(last)):
            across = np.int32(np.int32(x) - place)
            square = np.int32(rows * rows + across * across)
            squares[x] = square if square < squares[x] else squares[x]


@compiled_part
def _compare_envelope(
    apart: npt.NDArray[np.uint16],
    low: int,
    high: int,
    first: int,
    last: int,
    squares: Squares,
    columns: Places,
    starts: Places,
) -> None:
    """As `_compare_all`, in time linear in the number of columns."""
    sites, site = _envelope(apart, low, high, columns, starts), 0
    for x in range(first, last if sites > 0 else first):
        while site + 1 < sites and starts[site + 1] <= x:
            site += 1
        aside, rows = x - columns[site], np.int64(apart[columns[site]])
        squares[x] = aside * aside + rows * rows


@compiled_part
def _envelope(
    apart: npt.NDArray[np.uint16],
    low: int,
    high: int,
    columns: Places,
    starts: Places,
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


@compiled_part
def _stretch_error(
    gray: npt.NDArray[np.uint8],
    first: int,
    last: int,
    squares: Squares,
    levels: Floats,
    fading: Floats,
) -> float:
    total = 0.0
    for x in range(np.uintp(first), np.uintp(last)):
        fade = fading[squares[x]] if squares[x] < len(fading) else 0.0
        total += levels[gray[x]] * (2.0 - fade)
    return total


@compiled
def _foreground_error(
    prediction: Gray,
    distances: Distances,
    misses: Floats,
    smoothing: Floats,
    blocks: Blocks,
    needed: Blocks,
    squares: Keys,
    keys: Keys,
    sides: Keys,
    errors: Floats,
    ring: Floats,
) -> float:
    """Rows are smoothed along x into a ring of seven, from which the middle row is smoothed along
    y, all of it only in blocks where foreground pixels with an error need it.
    """
    height, width = prediction.shape
    total = 0.0
    for y in range(height + _REACH):
        smoothed, center = ring[y % len(ring)], y - _REACH
        if y >= height:
            for x in range(np.uintp(width)):
                smoothed[x] = 0.0
        start = stop = 0
        while y < height and stop < width:
            start, stop = _next_stretch(needed[y], stop, width)
            if start < stop:
                _write_errors(
                    prediction, distances, misses, y, start, stop, squares, keys, sides, errors
                )
                _smooth_along_x(errors, smoothing, start, stop, smoothed)
        start = stop = 0
        while center >= 0 and stop < width:
            start, stop = _next_stretch(blocks[center], stop, width)
            if start < stop:
                gray, apart = prediction[center], distances[center]
                total += _smaller_errors(gray, apart, start, stop, misses, ring, center, smoothing)
    return total


@compiled_part
def _next_stretch(needed: npt.NDArray[np.bool_], column: int, width: int) -> tuple[int, int]:
    """First and last-but-one column of the next unbroken blocks; equal if there are no more."""
    start = (column + _BLOCK - 1) // _BLOCK
    while start < len(needed) and not needed[start]:
        start += 1
    stop = start
    while stop < len(needed) and needed[stop]:
        stop += 1
    first, last = start * _BLOCK, stop * _BLOCK
    return first if first < width else width, last if last < width else width


@compiled_part
def _write_errors(
    prediction: Gray,
    distances: Distances,
    misses: Floats,
    y: int,
    start: int,
    stop: int,
    squares: Keys,
    keys: Keys,
    sides: Keys,
    errors: Floats,
) -> None:
    """Write what smoothing the columns start to stop reads: `errors[x + 3]` belongs to column x."""
    width = prediction.shape[1]
    first = start - _REACH if start > _REACH else 0
    last = stop + _REACH if stop + _REACH < width else width
    gray, apart = prediction[y], distances[y]
    for x in range(np.uintp(first), np.uintp(last)):
        errors[x + _3] = misses[gray[x]] if apart[x] == 0 else 0.0
    _nearest_columns(apart, first, last, squares, keys, sides)
    _copy_errors(prediction, distances, misses, y, first, last, keys, errors)


@compiled_part
def _nearest_columns(
    apart: npt.NDArray[np.uint16], first: int, last: int, squares: Keys, keys: Keys, sides: Keys
) -> None:
    """Write `16 * squared distance + column offset + 4` of the nearest foreground pixel.

    Its minimum over the nine columns that can hold it breaks ties by the lowest column. `sides`
    holds the offsets -4 to 4: of a constant range the compiler would make nine loops.
    """
    start = first - _SIDE if first > _SIDE else 0
    stop = last + _SIDE if last + _SIDE < len(apart) else len(apart)
    for x in range(np.uintp(start), np.uintp(stop)):
        near = np.int16(apart[x] if apart[x] <= _SIDE else _SIDE + 1)
        squares[x + _4] = np.int16(16) * near * near
    for x in range(np.uintp(first), np.uintp(last)):
        keys[x] = _OUT_OF_REACH
    for k in range(len(sides)):
        side = np.int64(sides[k])
        column, shifted = np.int16(16 * side * side + side + _SIDE), squares[k:]
        for x in range(np.uintp(first), np.uintp(last)):
            key = np.int16(shifted[x] + column)
            keys[x] = key if key < keys[x] else keys[x]


@compiled_part
def _copy_errors(
    prediction: Gray,
    distances: Distances,
    misses: Floats,
    y: int,
    first: int,
    last: int,
    keys: Keys,
    errors: Floats,
) -> None:
    """Give background pixels that smoothing can reach the error of their nearest foreground."""
    for x in range(first, last):
        key = np.int64(keys[x])
        if key < 16 or key >= _OUT_OF_REACH:  # foreground itself, or too far from any
            continue
        column = x + (key & 15) - _SIDE
        apart = np.int64(distances[y, column])
        row = y - apart  # of two equally near rows the lower index, as SciPy's transform does
        if row < 0 or distances[row, column] != 0:
            row = y + apart
        errors[x + _REACH] = misses[prediction[row, column]]


@compiled_part
def _smooth_along_x(
    errors: Floats, smoothing: Floats, start: int, stop: int, smoothed: Floats
) -> None:
    far, mid, near, center = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    for x in range(np.uintp(start), np.uintp(stop)):
        smoothed[x] = (
            far * (errors[x] + errors[x + _6])
            + mid * (errors[x + _1] + errors[x + _5])
            + near * (errors[x + _2] + errors[x + _4])
            + center * errors[x + _3]
        )


@compiled_sum
def _smaller_errors(
    gray: npt.NDArray[np.uint8],
    apart: npt.NDArray[np.uint16],
    start: int,
    stop: int,
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
    for x in range(np.uintp(start), np.uintp(stop)):
        value = far * (a[x] + g[x]) + mid * (b[x] + f[x]) + near * (c[x] + e[x]) + middle * d[x]
        miss = misses[gray[x]]
        total += (value if value < miss else miss) if apart[x] == 0 else 0.0
    return total
