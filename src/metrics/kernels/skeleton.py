"""Skeletons by thinning, 64 pixels at a time, equal to scikit-image's `skeletonize` bit by bit.

The scheme is Zhang and Suen's ("A fast parallel algorithm for thinning digital patterns", CACM
1984): two passes take turns, each removes at once all pixels whose eight neighbors allow it. Which
neighborhoods allow it is scikit-image's table, which differs from the paper's rule for 25 of 256.
"""

import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask, require_map
from src.metrics.kernels import compiled, compiled_part
from src.metrics.kernels.bits import ONE, PIXELS, TOP, ZERO, Words, ones, pack, unpack

_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_BATCH = 128

Row = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


def skeletonize(target: Gray) -> Mask:
    """Skeleton of the pixels > 128 of a uint8 `(H, W)` map.

    Raises:
        TypeError: the map is not uint8.
        ValueError: the map is not two-dimensional or has no pixel.
    """
    require_map("target", target)
    words = pack(target > FOREGROUND_ABOVE)
    thin(words)
    return unpack(words, target.shape[1]).view(np.bool_)


def thin(words: Words) -> None:
    """Thin a map of `bits.pack` in place until nothing changes."""
    rows, stride = words.shape
    marks = np.zeros((2, rows, -(-stride // PIXELS)), np.uint64)
    queue, losses = np.empty(words.size, np.int64), np.empty(words.size, np.uint64)
    near, loss = np.empty((9, _BATCH), np.uint64), np.empty(_BATCH, np.uint64)
    _thin(words.reshape(-1), stride, marks[0], marks[1], queue, losses, near, loss)


@compiled
def _thin(
    words: Row,
    stride: int,
    recent: Words,
    older: Words,
    queue: Places,
    losses: Row,
    near: Words,
    loss: Row,
) -> None:
    # A word can only lose pixels in a pass if it or a word beside it changed since the last pass
    # of the same kind: in that pass itself or in the one between. All others are left alone.
    # `recent` and `older` mark these words of the last two passes, one bit for each word.
    _mark_borders(words, stride, recent)
    is_first = True
    while True:
        visits = _enqueue(words, stride, recent, older, queue)
        if visits == 0:
            return
        amount = _find_losses(words, stride, queue, visits, is_first, losses, near, loss)
        older, recent = recent, older
        for y in range(recent.shape[0]):
            for x in range(recent.shape[1]):
                recent[y, x] = 0
        for k in range(amount):
            words[queue[k]] &= ~losses[k]
            _mark(recent, queue[k] // stride, queue[k] % stride, losses[k])
        is_first = not is_first


@compiled_part
def _mark_borders(words: Row, stride: int, marks: Words) -> None:
    """Mark the words that hold a pixel with an unset neighbor."""
    for i in range(stride, len(words) - stride):
        if words[i] == 0:
            continue
        column = words[i - stride] & words[i] & words[i + stride]
        west = words[i - stride - 1] & words[i - 1] & words[i + stride - 1]
        east = words[i - stride + 1] & words[i + 1] & words[i + stride + 1]
        if column != _FULL or west >> TOP == 0 or east & ONE == 0:
            x = i % stride
            marks[i // stride, x >> 6] |= ONE << np.uint64(x & 63)


@compiled_part
def _mark(marks: Words, y: int, x: int, loss: np.uint64) -> None:
    """Mark a word and, of those beside it in its row, the ones that see its loss."""
    row = marks[y]
    row[x >> 6] |= ONE << np.uint64(x & 63)
    if loss & ONE:
        row[(x - 1) >> 6] |= ONE << np.uint64((x - 1) & 63)
    if loss >> TOP:
        row[(x + 1) >> 6] |= ONE << np.uint64((x + 1) & 63)


@compiled_part
def _enqueue(words: Row, stride: int, marks: Words, others: Words, queue: Places) -> int:
    """Write the words that are marked or lie above or below a marked one; return their number."""
    amount = 0
    for y in range(1, len(marks) - 1):
        for k in range(marks.shape[1]):
            due = ZERO
            for row in range(y - 1, y + 2):
                due |= marks[row, k] | others[row, k]
            while due:
                lowest = due & (~due + ONE)
                due ^= lowest
                i = y * stride + k * PIXELS + np.int64(ones(lowest - ONE))
                if words[i]:
                    queue[amount] = i
                    amount += 1
    return amount


@compiled_part
def _find_losses(
    words: Row,
    stride: int,
    queue: Places,
    visits: int,
    first: bool,
    losses: Row,
    near: Words,
    loss: Row,
) -> int:
    """Which words lose which pixels in this pass: moved to the queue's front; return their number.

    The words themselves stay as they are until all of a pass are known.
    """
    amount = 0
    for start in range(0, visits, _BATCH):
        count = visits - start if visits - start < _BATCH else _BATCH
        _gather(words, stride, queue, start, count, near)
        _apply_rules(near, count, first, loss)
        for k in range(count):
            queue[amount], losses[amount] = queue[start + k], loss[k]
            amount += loss[k] != 0
    return amount


@compiled_part
def _gather(words: Row, stride: int, queue: Places, start: int, count: int, near: Words) -> None:
    """Collect words of the queue and the eight around each, one kind after the other."""
    for k in range(count):
        i = queue[start + k]
        for row in range(3):
            center = i + (row - 1) * stride
            near[3 * row, k] = words[center - 1]
            near[3 * row + 1, k] = words[center]
            near[3 * row + 2, k] = words[center + 1]


@compiled_part
def _apply_rules(near: Words, count: int, first: bool, loss: Row) -> None:
    # nothing but bit operations on consecutive words, so that the compiler works on several at once
    for k in range(np.uintp(count)):
        n, here, s = near[1, k], near[4, k], near[7, k]
        w = (here << ONE) | (near[3, k] >> TOP)
        e = (here >> ONE) | (near[5, k] << TOP)
        nw = (n << ONE) | (near[0, k] >> TOP)
        ne = (n >> ONE) | (near[2, k] << TOP)
        sw = (s << ONE) | (near[6, k] >> TOP)
        se = (s >> ONE) | (near[8, k] << TOP)
        if first:
            loss[k] = here & _first_pass(n, e, s, w, nw, ne, se, sw)
        else:
            loss[k] = here & _second_pass(n, e, s, w, nw, ne, se, sw)


# The two tables as Boolean functions: one line for each set of direct neighbors that are set (and
# the others not), which holds for the corners it names. `n, e, s, w` are the direct neighbors.


@compiled_part
def _first_pass(
    n: np.uint64,
    e: np.uint64,
    s: np.uint64,
    w: np.uint64,
    nw: np.uint64,
    ne: np.uint64,
    se: np.uint64,
    sw: np.uint64,
) -> np.uint64:
    no_n, no_e, no_s, no_w = ~n, ~e, ~s, ~w
    return (
        (n & no_e & no_s & no_w & (nw | ne) & ~se & ~sw)
        | (no_n & e & no_s & no_w & ~nw & ne & ~sw)
        | (n & e & no_s & no_w & (ne | ~se) & ~sw)
        | (no_n & no_e & s & no_w & ~nw & ~ne & se & sw)
        | (no_n & e & s & no_w & ~nw & ((se & (ne | sw)) | ~(ne | se | sw)))
        | (no_n & no_e & no_s & w & nw & ~ne & ~se & sw)
        | (n & no_e & no_s & w & ~se)
        | (n & e & no_s & w & nw & ne & ~(se & sw))
        | (no_n & no_e & s & w & ~ne & ((sw & (nw | se)) | ~(se | sw)))
        | (n & no_e & s & w & nw & sw & ~(ne & se))
    )


@compiled_part
def _second_pass(
    n: np.uint64,
    e: np.uint64,
    s: np.uint64,
    w: np.uint64,
    nw: np.uint64,
    ne: np.uint64,
    se: np.uint64,
    sw: np.uint64,
) -> np.uint64:
    no_n, no_e, no_s, no_w = ~n, ~e, ~s, ~w
    return (
        (n & no_e & no_s & no_w & nw & ne & ~se & ~sw)
        | (no_n & e & no_s & no_w & ~nw & se & ~sw)
        | (n & e & no_s & no_w & ~sw & (~(nw ^ ne) | (~nw & se)))
        | (no_n & no_e & s & no_w & ~nw & ~ne & sw)
        | (no_n & e & s & no_w & ~nw & (~ne | se | sw))
        | (n & e & s & no_w & ne & se & ~(nw & sw))
        | (no_n & no_e & no_s & w & ~ne & ~se & sw)
        | (n & no_e & no_s & w & ((nw & (sw | ne) & ~se) | ~(nw | ne | se | sw)))
        | (no_n & no_e & s & w & ~ne & (~nw | sw))
        | (no_n & e & s & w & se & sw & ~(nw & ne))
    )
