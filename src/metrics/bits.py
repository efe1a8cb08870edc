"""Binary maps with 64 pixels in a word, and the morphology of the measures on them.

A map is a `(H + 2, W + 2)` array of uint64 with one frame of zero words, `W = ceil(width / 64)`:
neighbours are read without asking where the border is. Pixel `x` of a row is bit `x % 64` of word
`1 + x // 64`. Bits right of the last pixel are zero between calls.
"""

import numba
import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

PIXELS = 64
ONE = np.uint64(1)
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
    return int(_count(words))


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
    result = words.copy()
    for row in result[1:-1]:
        spread(row, 0, radius)
    reach = 0
    while reach < radius:  # vertically: double the reach while the steps leave no gap
        step = min(radius - reach, 2 * reach + 1)
        rows = result[1:-1].copy()
        if step < len(rows):
            result[1 + step : -1] |= rows[:-step]
            result[1 : -1 - step] |= rows[step:]
        reach += step
    result[:, (0, -1)] = 0
    result[:, -2] &= _last_word(width)
    return result


def _last_word(width: int) -> np.uint64:
    return _FULL >> np.uint64(-width % PIXELS)


@numba.njit(cache=True, nogil=True)
def ones(word: np.uint64) -> np.uint64:
    """Number of set bits of one word."""
    word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@numba.njit(cache=True, nogil=True)
def lowest(word: np.uint64) -> np.uint64:
    """Place of the lowest set bit of a word that is not zero."""
    return ones((word & (~word + ONE)) - ONE)


@numba.njit(cache=True, nogil=True)
def _count(words: Words) -> np.uint64:
    total = np.uint64(0)
    for y in range(words.shape[0]):
        for x in range(words.shape[1]):
            total += ones(words[y, x])
    return total


@numba.njit(cache=True, nogil=True)
def _grow_cross(words: Words, within: Words, result: Words) -> None:
    rows, columns = words.shape
    for y in range(1, rows - 1):
        above, here, below = words[y - 1], words[y], words[y + 1]
        limit, out = within[y], result[y]
        for x in range(1, columns - 1):
            word = here[x]
            beside = (word << ONE) | (here[x - 1] >> TOP) | (word >> ONE) | (here[x + 1] << TOP)
            out[x] = (word | beside | above[x] | below[x]) & limit[x]


@numba.njit(cache=True, nogil=True)
def spread(row: npt.NDArray[np.uint64], reach: int, target: int) -> None:
    """Widen a framed row, already dilated by `reach` pixels to each side, to `target` pixels.

    Leaves bits in the padding and in the frame's words; they never come back into the image.
    """
    while reach < target:
        step = min(target - reach, 2 * reach + 1, 63)
        left, right = np.uint64(step), np.uint64(64 - step)
        last = np.uint64(0)
        for x in range(row.shape[0]):
            word = row[x]
            following = row[x + 1] if x + 1 < row.shape[0] else np.uint64(0)
            row[x] = word | (word << left) | (last >> right) | (word >> left) | (following << right)
            last = word
        reach += step
