"""Binary maps with 64 pixels in a word, and the morphology of the metrics on them.

A map is a `(H + 2, W + 2)` array of uint64 with one frame of zero words, `W = ceil(width / 64)`:
neighbors are read without asking where the border is. Pixel `x` of a row is bit `x % 64` of word
`1 + x // 64`. Bits right of the last pixel are zero between calls.

Compiled functions call only compiled functions of their own file, here and in the whole package,
as numba's cache on disk notices no change in other files. `ones` alone is called from elsewhere.
"""

import numpy as np
import numpy.typing as npt

from src.metrics.kernels import compiled, compiled_part

Words = npt.NDArray[np.uint64]

PIXELS = 64
ZERO, ONE = np.uint64(0), np.uint64(1)
TOP = np.uint64(63)
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_WORD = np.dtype("<u8")


def pack(mask: np.ndarray) -> Words:
    """Words of a `(H, W)` map; what is not zero is set."""
    height, width = mask.shape
    words = np.zeros((height + 2, -(-width // PIXELS) + 2), _WORD)
    packed = np.packbits(mask, axis=1, bitorder="little")
    words.view(np.uint8)[1:-1, 8 : 8 + packed.shape[1]] = packed
    return words


def unpack(words: Words, width: int) -> npt.NDArray[np.uint8]:
    """The `(H, width)` map of 0 and 1 that `pack` would turn into these words."""
    columns = words[1:-1, 1:-1].view(np.uint8)
    return np.unpackbits(columns, axis=1, count=width, bitorder="little")


def complement(words: Words, width: int) -> Words:
    """The pixels that are not set; frame and padding stay zero."""
    result = np.zeros_like(words)
    np.invert(words[1:-1, 1:-1], out=result[1:-1, 1:-1])
    result[1:-1, -2] &= _last_word(width)
    return result


def count(words: Words) -> int:
    """How many pixels are set."""
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def grow_cross(words: Words, within: Words, steps: int) -> Words:
    """Dilate `steps` times by the 3×3 cross, keeping to `within` after each step."""
    source, result = words, np.zeros_like(words)
    spare = np.zeros_like(words)
    for _ in range(steps):
        _grow_cross(source, within, result)
        source, result, spare = result, spare, result
    return source


def grow_square(words: Words, width: int, radius: int) -> Words:
    """Dilate by the square of side `2 * radius + 1`."""
    result = grow_convex(words, width, np.array([radius]))
    radius, reach = min(radius, len(words) - 3), 0  # no farther than to the last row
    while reach < radius:
        step = min(radius - reach, reach + 1)  # larger ones would go by way of rows outside
        rows = result[1:-1].copy()
        result[1 + step : -1] |= rows[:-step]
        result[1 : -1 - step] |= rows[step:]
        reach += step
    return result


def grow_convex(words: Words, width: int, reaches: npt.NDArray[np.int64]) -> Words:
    """Dilate by a shape that reaches `reaches[dy]` columns to each side in the rows `dy` away.

    The shape is symmetric and convex: `reaches` must not increase.
    """
    result = np.zeros_like(words)
    _grow_convex(words, reaches, np.empty((2, words.shape[1]), np.uint64), result)
    result[:, (0, -1)] = 0
    result[:, -2] &= _last_word(width)
    return result


def _last_word(width: int) -> np.uint64:
    return _FULL >> np.uint64(-width % PIXELS)


@compiled_part
def ones(word: np.uint64) -> np.uint64:
    """Number of set bits of one word."""
    word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@compiled
def _grow_cross(words: Words, within: Words, result: Words) -> None:
    rows, columns = words.shape
    for y in range(1, rows - 1):
        above, here, below = words[y - 1], words[y], words[y + 1]
        limit, out = within[y], result[y]
        for x in range(1, columns - 1):
            word = here[x]
            beside = (word << ONE) | (here[x - 1] >> TOP) | (word >> ONE) | (here[x + 1] << TOP)
            out[x] = (word | beside | above[x] | below[x]) & limit[x]


@compiled
def _grow_convex(words: Words, reaches: npt.NDArray[np.int64], work: Words, result: Words) -> None:
    """For each row, add the shape around all its pixels, from the shape's ends inwards."""
    rows, columns = words.shape
    row, spare = work[0], work[1]
    for y in range(1, rows - 1):
        filled = ZERO
        for x in range(columns):
            row[x] = words[y, x]
            filled |= row[x]
        if filled == ZERO:
            continue
        reach = 0
        for away in range(len(reaches) - 1, -1, -1):
            while reach < reaches[away]:
                step = reaches[away] - reach
                step = step if step < 2 * reach + 1 else 2 * reach + 1
                step = step if step < PIXELS else PIXELS - 1
                _widen(row, spare, step)
                row, spare = spare, row
                reach += step
            for side in range(2 if away > 0 else 1):
                other = y + away if side else y - away
                if 1 <= other < rows - 1:
                    _add(result[other], row)


@compiled_part
def _add(row: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> None:
    for x in range(len(other)):
        row[x] |= other[x]


@compiled_part
def _widen(row: npt.NDArray[np.uint64], result: npt.NDArray[np.uint64], step: int) -> None:
    """Write the row with each pixel spread by `step` columns to each side.

    Bits in the padding and the frame take part: they never reach farther into the image than the
    pixels that they come from.
    """
    near, far = np.uint64(step), np.uint64(PIXELS - step)
    last = len(row) - 1
    result[0] = row[0] | (row[0] << near) | (row[0] >> near) | (row[1] << far)
    for x in range(1, last):
        word = row[x]
        beside = (word << near) | (row[x - 1] >> far) | (word >> near) | (row[x + 1] << far)
        result[x] = word | beside
    result[last] = row[last] | (row[last] << near) | (row[last - 1] >> far) | (row[last] >> near)
