"""Errors weighted by distance, on background and foreground, for the weighted F-measure."""

import math

import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray
from src.metrics.kernels import compiled, compiled_sum

FAR = 256  # from here on 0.5^(distance / 5) is below the last digit of what it is taken from
_GAP = 16  # errors farther apart are looked at apart: their nearest pixels are, mostly

_FEW = 256  # columns that are compared sooner than an envelope of them is made
_TOO_FAR = FAR**2

Distances = npt.NDArray[np.uint16]  # (H, W) rows to the nearest foreground of the column, <= FAR
Squares = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Stretches = npt.NDArray[np.int64]  # (n, 3): row, first column, column behind the last
_REACH = 3  # of the 7×7 smoothing
_1, _2, _3, _4, _5, _6 = (np.uintp(k) for k in range(1, 7))
_OUT_OF_REACH = 16 * (2 * _REACH**2 + 1)  # key of a pixel that smoothing cannot reach
_SIDE = 4  # columns to each side in which a nearest pixel that near can lie
_SIDES = np.uintp(2 * _SIDE + 1)
_BLOCK = 32  # columns that are looked at or left out together
Blocks = npt.NDArray[np.bool_]  # (H, blocks of a row)
Keys = npt.NDArray[np.int16]


def column_distances(target: Gray) -> Distances:
    """Rows from each pixel to the nearest foreground pixel of its column, `FAR` if farther."""
    framed = np.full((len(target) + 1, target.shape[1]), FAR, np.uint16)
    _column_distances(target, framed)
    return framed[1:]


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
    keys = np.full(width, _OUT_OF_REACH, np.int16)
    errors, ring = np.zeros(width + 2 * _REACH), np.zeros((2 * _REACH + 1) * width)
    work = squares, keys, errors, ring
    stretches = _stretches(needed, width), _stretches(blocks, width)
    return float(_foreground_error(prediction, distances, misses, smoothing, *stretches, *work))


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


def _stretches(blocks: Blocks, width: int) -> Stretches:
    """Unbroken blocks, row by row, and one behind the last row."""
    height = len(blocks)
    edges = np.diff(np.pad(blocks.view(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, first = np.nonzero(edges == 1)
    _, last = np.nonzero(edges == -1)
    stretches = np.full((len(rows) + 1, 3), height + _REACH, np.int64)
    stretches[:-1, 0] = rows
    stretches[:-1, 1] = first * _BLOCK
    np.minimum(last * _BLOCK, width, out=stretches[:-1, 2])
    return stretches


@compiled
def _column_distances(target: Gray, framed: Distances) -> None:
    height, width = target.shape
    for y in range(height):
        gray, above, here = target[y], framed[y], framed[y + 1]
        for x in range(np.uintp(width)):
            farther = above[x] + np.uint16(above[x] < FAR)
            here[x] = farther * np.uint16(gray[x] <= FOREGROUND_ABOVE)
    for y in range(height - 1, 0, -1):
        here, below = framed[y], framed[y + 1]
        for x in range(np.uintp(width)):
            farther = np.uint16(below[x] + np.uint16(1))
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
        x = 0
        while x < width:
            if apart[x] == 0 or levels[gray[x]] == 0:
                x += 1
                continue
            # A stretch of background whose errors lie less than `_GAP` columns apart, and how far
            # its nearest foreground can be.
            first = last = x
            reach = 0
            ahead = np.int64(apart[x])
            while x < width and apart[x] != 0 and x - last < _GAP:
                ahead = np.int64(apart[x]) if apart[x] > ahead else ahead
                x += 1
                if levels[gray[x - 1]] != 0:
                    last = x
                    reach = ahead
            x = last
            low = first
            while low > 0 and low > first - reach and apart[low] != 0:
                low -= 1  # nothing beyond foreground in the row is nearer
            high = last
            while high < width and high < last + reach and apart[high - 1] != 0:
                high += 1
            for k in range(np.uintp(first), np.uintp(last)):
                squares[k] = _TOO_FAR
            if high - low <= _FEW:
                for column in range(low, high):
                    rows, place = np.int32(apart[column]), np.int32(column)
                    if rows < FAR:
                        for k in range(np.uintp(first), np.uintp(last)):
                            across = np.int32(np.int32(k) - place)
                            square = np.int32(rows * rows + across * across)
                            squares[k] = square if square < squares[k] else squares[k]
            else:
                # The same in linear time, by the lower envelope of parabolas of Meijster, Roerdink
                # and Hesselink, "A General Algorithm for Computing Distance Transforms in Linear
                # Time", 2000: the columns that hold a nearest pixel, the first that each serves.
                sites = 0
                for column in range(low, high):
                    near = np.int64(apart[column])
                    start = high if near >= FAR else low
                    while sites > 0 and start == low:
                        other = columns[sites - 1]
                        beside = np.int64(apart[other])
                        lead = (column - other) * (column + other) + (near - beside) * (
                            near + beside
                        )
                        start = math.floor(lead / (2 * (column - other))) + 1
                        if start <= starts[sites - 1]:
                            sites -= 1
                            start = low
                    if start < high:
                        columns[sites] = column
                        starts[sites] = start
                        sites += 1
                site = 0
                if sites > 0:
                    for k in range(first, last):
                        while site + 1 < sites and starts[site + 1] <= k:
                            site += 1
                        aside, near = k - columns[site], np.int64(apart[columns[site]])
                        squares[k] = aside * aside + near * near
            part = 0.0
            for k in range(np.uintp(first), np.uintp(last)):
                fade = fading[squares[k]] if squares[k] < len(fading) else 0.0
                part += levels[gray[k]] * (2.0 - fade)
            total += part
    return total


@compiled
def _foreground_error(
    prediction: Gray,
    distances: Distances,
    misses: Floats,
    smoothing: Floats,
    needed: Stretches,
    stretches: Stretches,
    squares: Keys,
    keys: Keys,
    errors: Floats,
    ring: Floats,
) -> float:
    """Rows are smoothed along x into a ring of seven, from which the middle row is smoothed along
    y, all of it only in blocks where foreground pixels with an error need it.
    """
    height, width = prediction.shape
    far, mid, near, center = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    total = 0.0
    ahead = k = 0
    for y in range(height + _REACH):
        place = np.uintp(y % 7 * width)
        if y >= height:
            for x in range(np.uintp(width)):
                ring[place + x] = 0.0
        while needed[ahead, 0] == y:
            start, stop = needed[ahead, 1], needed[ahead, 2]
            ahead += 1
            gray, apart = prediction[y], distances[y]
            # `errors[x + 3]` belongs to column x; foreground pixels first.
            first = start - _REACH if start > _REACH else 0
            last = stop + _REACH if stop + _REACH < width else width
            for x in range(np.uintp(first), np.uintp(last)):
                errors[x + _3] = misses[gray[x]] * (apart[x] == 0)
            # Of the nearest foreground pixel `16 * squared distance + column offset + 4`: the
            # minimum over the nine columns that can hold it breaks ties by the lowest column.
            low = first - _SIDE if first > _SIDE else 0
            high = last + _SIDE if last + _SIDE < width else width
            for x in range(np.uintp(low), np.uintp(high)):
                rows = np.int16(apart[x] if apart[x] <= _SIDE else _SIDE + 1)
                squares[x + _4] = np.int16(16) * rows * rows
            for side in range(_SIDES):
                across = np.int64(side) - _SIDE
                column = np.int16(16 * across * across + across + _SIDE)
                for x in range(np.uintp(first), np.uintp(last)):
                    key = np.int16(squares[x + side] + column)
                    keys[x] = key if key < keys[x] else keys[x]
            # Background pixels that smoothing can reach have the error of their nearest foreground.
            for x in range(first, last):
                found = np.int64(keys[x])
                keys[x] = _OUT_OF_REACH
                if found >= 16 and found < _OUT_OF_REACH:  # not foreground itself, nor too far
                    nearest = x + (found & 15) - _SIDE
                    away = np.int64(apart[nearest])
                    row = y - away  # of two equally near rows the lower, as SciPy's transform does
                    if row < 0 or distances[row, nearest] != 0:
                        row = y + away
                    errors[x + _REACH] = misses[prediction[row, nearest]]
            for x in range(np.uintp(start), np.uintp(stop)):
                ring[place + x] = (
                    far * (errors[x] + errors[x + _6])
                    + mid * (errors[x + _1] + errors[x + _5])
                    + near * (errors[x + _2] + errors[x + _4])
                    + center * errors[x + _3]
                )
        while stretches[k, 0] == y - _REACH:
            row = stretches[k, 0]
            start, stop = np.uintp(stretches[k, 1]), np.uintp(stretches[k, 2])
            total += _smaller_errors(
                prediction[row], distances[row], start, stop, misses, ring, y, smoothing
            )
            k += 1
    return total


@compiled_sum
def _smaller_errors(
    gray: npt.NDArray[np.uint8],
    apart: npt.NDArray[np.uint16],
    start: int,
    stop: int,
    misses: Floats,
    ring: Floats,
    y: int,
    smoothing: Floats,
) -> float:
    """Sum over columns of a row of which row y is the last that smoothing reads."""
    width = len(gray)
    a, b, c, d, e, f, g = (
        np.uintp((y + 1) % 7 * width),
        np.uintp((y + 2) % 7 * width),
        np.uintp((y + 3) % 7 * width),
        np.uintp((y + 4) % 7 * width),
        np.uintp((y + 5) % 7 * width),
        np.uintp((y + 6) % 7 * width),
        np.uintp(y % 7 * width),
    )
    far, mid, near, middle = smoothing[0], smoothing[1], smoothing[2], smoothing[3]
    total = 0.0
    for x in range(start, stop):
        value = (
            far * (ring[a + x] + ring[g + x])
            + mid * (ring[b + x] + ring[f + x])
            + near * (ring[c + x] + ring[e + x])
            + middle * ring[d + x]
        )
        miss = misses[gray[x]]
        total += (value if value < miss else miss) if apart[x] == 0 else 0.0
    return total
