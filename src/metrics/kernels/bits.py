"""Binary maps with 64 pixels in a word, and the morphology of the metrics on them.

A map is a `(H + 2, W + 2)` array of uint64 with one frame of zero words, `W = ceil(width / 64)`:
neighbors are read without asking where the border is. Pixel `x` of a row is bit `x % 64` of word
`1 + x // 64`. Bits right of the last pixel are zero between calls.
"""

import numpy as np
import numpy.typing as npt

from src.metrics.kernels import compiled

Words = npt.NDArray[np.uint64]
Row = npt.NDArray[np.uint64]
Steps = npt.NDArray[np.int64]

PIXELS = 64
ZERO, ONE = np.uint64(0), np.uint64(1)
TOP = np.uint64(63)
_NEXT = np.uintp(1)
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
    rows = np.zeros((2, words.shape[1] + 2), np.uint64)
    _grow_convex(words, *_widenings(reaches, len(words)), *rows, result)
    result[:, (0, -1)] = 0
    result[:, -2] &= _last_word(width)
    return result


def _widenings(reaches: npt.NDArray[np.int64], nowhere: int) -> tuple[Steps, Steps]:
    """By how many columns to widen a row, one after the other, and how far away to add it then.

    A row that is added nowhere is `nowhere` away, which is outside.
    """
    steps, aways, reach = [], [], 0
    for away in range(len(reaches) - 1, -1, -1):
        while (step := min(int(reaches[away]) - reach, 2 * reach + 1, PIXELS - 1)) > 0:
            steps.append(step)
            aways.append(nowhere)
            reach += step
        steps.append(0)
        aways.append(away)
    return np.array(steps), np.array(aways)


def _last_word(width: int) -> np.uint64:
    return _FULL >> np.uint64(-width % PIXELS)


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
def _grow_convex(
    words: Words, steps: Steps, aways: Steps, row: Row, wider: Row, out: Words
) -> None:
    """For each row, add the shape around all its pixels, from the shape's ends inwards.

    Bits in the padding and the frame take part: they never reach farther into the image than the
    pixels that they come from.
    """
    rows, columns = words.shape
    for y in range(1, rows - 1):
        filled = ZERO
        for x in range(np.uintp(columns)):
            filled |= words[y, x]
            row[x + _NEXT] = words[y, x]
        if filled == ZERO:
            continue
        for k in range(len(steps)):
            near, far = np.uint64(steps[k]), np.uint64(PIXELS - steps[k])
            if near:
                for x in range(_NEXT, np.uintp(columns + 1)):
                    word = row[x]
                    beside = (word << near) | (row[x - _NEXT] >> far)
                    wider[x] = word | beside | (word >> near) | (row[x + _NEXT] << far)
                row, wider = wider, row
            other = y - aways[k]
            for _ in range(2):
                if other >= 1 and other < rows - 1:
                    for x in range(np.uintp(columns)):
                        out[other, x] |= row[x + _NEXT]
                other += 2 * aways[k]
