"""Skeletons by thinning, 64 pixels at a time, equal to scikit-image's `skeletonize` bit by bit.

The scheme is Zhang and Suen's ("A fast parallel algorithm for thinning digital patterns", CACM
1984): two passes take turns, each removes at once all pixels whose eight neighbors allow it. Which
neighborhoods allow it is scikit-image's table, which differs from the paper's rule for 25 of 256.
"""

import numba
import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask, require_map
from src.metrics.kernels.bits import ONE, PIXELS, TOP, Words, pack, unpack

_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_BATCH = 128


# In parts that numba compiles one by one, with memory of their own: two seconds more of compiling
# than one long function of `kernels.compiled`, once, and a seventh less for each image.
_compiled = numba.njit(cache=True, nogil=True)


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
    _thin(words.reshape(-1), words.shape[1])


@_compiled
def _ones(word: np.uint64) -> np.uint64:
    """Number of set bits of one word."""
    word = word - ((word >> ONE) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@_compiled
def _thin(words: npt.NDArray[np.uint64], stride: int) -> None:
    # A word can only lose pixels in a pass if it or a word beside it changed since the last pass
    # of the same kind: in that pass itself or in the one between. All others are left alone.
    # `recent` and `older` mark these words of the last two passes, one bit for each word.
    rows = len(words) // stride
    recent = np.zeros((rows, (stride + PIXELS - 1) // PIXELS), np.uint64)
    _mark_borders(words, stride, recent)
    older = recent.copy()
    queue, losses = np.empty(len(words), np.int64), np.empty_like(words)
    visits, passes = _enqueue(words, stride, recent, queue), 0
    while visits > 0:
        # No constant: numba would compile what is called once for True and once for any other.
        is_first = passes % 2 == 0
        amount = _find_losses(words, stride, queue[:visits], is_first, losses)
        older, recent = recent, older
        recent[:] = 0
        for k in range(amount):
            words[queue[k]] &= ~losses[k]
            _mark(recent, queue[k] // stride, queue[k] % stride, losses[k])
        visits = _enqueue(words, stride, recent | older, queue)
        passes += 1


@_compiled
def _mark_borders(words: npt.NDArray[np.uint64], stride: int, marks: Words) -> None:
    """Mark the words that hold a pixel with an unset neighbor."""
    for i in range(stride, len(words) - stride):
        if words[i] == 0:
            continue
        column = words[i - stride] & words[i] & words[i + stride]
        west = words[i - stride - 1] & words[i - 1] & words[i + stride - 1]
        east = words[i - stride + 1] & words[i + 1] & words[i + stride + 1]
        if column != _FULL or west >> TOP == 0 or east & ONE == 0:
            _mark(marks, i // stride, i % stride, np.uint64(0))


@_compiled
def _mark(marks: Words, y: int, x: int, loss: np.uint64) -> None:
    """Mark a word and, of those beside it in its row, the ones that see its loss."""
    row = marks[y]
    row[x >> 6] |= ONE << np.uint64(x & 63)
    if loss & ONE:
        row[(x - 1) >> 6] |= ONE << np.uint64((x - 1) & 63)
    if loss >> TOP:
        row[(x + 1) >> 6] |= ONE << np.uint64((x + 1) & 63)


@_compiled
def _enqueue(
    words: npt.NDArray[np.uint64], stride: int, marks: Words, queue: npt.NDArray[np.int64]
) -> int:
    """Write the words that are marked or lie above or below a marked one; return their number."""
    amount = 0
    for y in range(1, len(marks) - 1):
        for k in range(marks.shape[1]):
            due = marks[y - 1, k] | marks[y, k] | marks[y + 1, k]
            while due:
                lowest = due & (~due + ONE)
                due ^= lowest
                i = y * stride + k * PIXELS + np.int64(_ones(lowest - ONE))
                if words[i]:
                    queue[amount] = i
                    amount += 1
    return amount


@_compiled
def _find_losses(
    words: npt.NDArray[np.uint64],
    stride: int,
    queue: npt.NDArray[np.int64],
    first: bool,
    losses: npt.NDArray[np.uint64],
) -> int:
    """Which words lose which pixels in this pass: moved to the queue's front; return their number.

    The words themselves stay as they are until all of a pass are known.
    """
    near, loss = np.empty(9 * _BATCH, np.uint64), np.empty(_BATCH, np.uint64)
    amount = 0
    for start in range(0, len(queue), _BATCH):
        batch = queue[start : start + _BATCH]
        _gather(words, stride, batch, near)
        _apply_rules(near, len(batch), first, loss)
        for k in range(len(batch)):
            queue[amount], losses[amount] = batch[k], loss[k]
            amount += loss[k] != 0
    return amount


@_compiled
def _gather(
    words: npt.NDArray[np.uint64],
    stride: int,
    batch: npt.NDArray[np.int64],
    near: npt.NDArray[np.uint64],
) -> None:
    """Collect the words and the eight around each, one kind after the other."""
    for k in range(len(batch)):
        i = batch[k]
        for row in range(3):
            center = i + (row - 1) * stride
            near[k + (3 * row) * _BATCH] = words[center - 1]
            near[k + (3 * row + 1) * _BATCH] = words[center]
            near[k + (3 * row + 2) * _BATCH] = words[center + 1]


@_compiled
def _apply_rules(
    near: npt.NDArray[np.uint64], amount: int, first: bool, loss: npt.NDArray[np.uint64]
) -> None:
    # nothing but bit operations on consecutive words, so that the compiler works on several at once
    for k in range(amount):
        n, here, s = near[k + _BATCH], near[k + 4 * _BATCH], near[k + 7 * _BATCH]
        w = (here << ONE) | (near[k + 3 * _BATCH] >> TOP)
        e = (here >> ONE) | (near[k + 5 * _BATCH] << TOP)
        nw = (n << ONE) | (near[k] >> TOP)
        ne = (n >> ONE) | (near[k + 2 * _BATCH] << TOP)
        sw = (s << ONE) | (near[k + 6 * _BATCH] >> TOP)
        se = (s >> ONE) | (near[k + 8 * _BATCH] << TOP)
        if first:
            loss[k] = here & _first_pass(n, e, s, w, (nw, ne, se, sw))
        else:
            loss[k] = here & _second_pass(n, e, s, w, (nw, ne, se, sw))


# The two tables as Boolean functions: one line for each set of direct neighbors that are set (and
# the others not), which holds for the corners it names. `n, e, s, w` are the direct neighbors.
_Corners = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@_compiled
def _first_pass(
    n: np.uint64, e: np.uint64, s: np.uint64, w: np.uint64, corners: _Corners
) -> np.uint64:
    nw, ne, se, sw = corners
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


@_compiled
def _second_pass(
    n: np.uint64, e: np.uint64, s: np.uint64, w: np.uint64, corners: _Corners
) -> np.uint64:
    nw, ne, se, sw = corners
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
