"""Skeletons by thinning, 64 pixels at a time, equal to scikit-image's `skeletonize` bit by bit.

The scheme is Zhang and Suen's ("A fast parallel algorithm for thinning digital patterns", CACM
1984): two passes take turns, each removes at once all pixels whose eight neighbours allow it. Which
neighbourhoods allow it is scikit-image's table, which differs from the paper's rule for 25 of 256.
"""

import numba
import numpy as np
import numpy.typing as npt

from ._pair import FOREGROUND_ABOVE, Grey, Mask, require_map
from .bits import ONE, TOP, Words, pack, unpack

_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)


def skeletonize(truth: Grey) -> Mask:
    """Skeleton of the pixels > 128 of a uint8 `(H, W)` map.

    Raises:
        TypeError: the map is not uint8.
        ValueError: the map is not two-dimensional or has no pixel.
    """
    require_map("truth", truth)
    words = pack(truth > FOREGROUND_ABOVE)
    thin(words)
    return unpack(words, truth.shape[1]).view(np.bool_)


def thin(words: Words) -> None:
    """Thin a map of `bits.pack` in place until nothing changes."""
    _thin(words.reshape(-1), words.shape[1])


@numba.njit(cache=True, nogil=True)
def _thin(words: npt.NDArray[np.uint64], stride: int) -> None:
    # A word can only lose pixels in a pass if it or a word beside it changed since the last pass
    # of the same kind: in that pass itself or in the one between. All others are left alone.
    queue, due = np.empty(len(words), np.int64), np.zeros(len(words), np.int32)
    recent, recent_loss = np.empty_like(queue), np.empty_like(words)
    older, older_loss = np.empty_like(queue), np.empty_like(words)
    visits = _enqueue_borders(words, stride, due, queue)
    amount = passes = 0
    while visits > 0:
        older, recent, older_loss, recent_loss = recent, older, recent_loss, older_loss
        earlier = amount
        amount = _removals(words, stride, queue[:visits], passes % 2 == 0, recent, recent_loss)
        for k in range(amount):
            words[recent[k]] &= ~recent_loss[k]
        passes += 1
        if passes > 1:  # the first pass of the second kind looks at all words of the first again
            visits = _enqueue(words, stride, older[:earlier], older_loss, due, passes, queue, 0)
        visits = _enqueue(words, stride, recent[:amount], recent_loss, due, passes, queue, visits)


@numba.njit(cache=True, nogil=True)
def _enqueue_borders(
    words: npt.NDArray[np.uint64],
    stride: int,
    due: npt.NDArray[np.int32],
    queue: npt.NDArray[np.int64],
) -> int:
    """Queue the words that hold a pixel with an unset neighbour; return how many they are."""
    amount = 0
    for i in range(stride, len(words) - stride):
        if words[i] == 0:
            continue
        column = words[i - stride] & words[i] & words[i + stride]
        west = words[i - stride - 1] & words[i - 1] & words[i + stride - 1]
        east = words[i - stride + 1] & words[i + 1] & words[i + stride + 1]
        if column != _FULL or west >> TOP == 0 or east & ONE == 0:
            due[i] = 1
            queue[amount] = i
            amount += 1
    return amount


@numba.njit(cache=True, nogil=True)
def _removals(
    words: npt.NDArray[np.uint64],
    stride: int,
    queue: npt.NDArray[np.int64],
    first: bool,
    places: npt.NDArray[np.int64],
    losses: npt.NDArray[np.uint64],
) -> int:
    """Write which words lose which pixels in this pass; return how many words do."""
    amount = 0
    for k in range(len(queue)):
        i = queue[k]
        here, above, below = words[i], words[i - stride], words[i + stride]
        west = (here << ONE) | (words[i - 1] >> TOP)
        east = (here >> ONE) | (words[i + 1] << TOP)
        northwest = (above << ONE) | (words[i - stride - 1] >> TOP)
        northeast = (above >> ONE) | (words[i - stride + 1] << TOP)
        southwest = (below << ONE) | (words[i + stride - 1] >> TOP)
        southeast = (below >> ONE) | (words[i + stride + 1] << TOP)
        corners = northwest, northeast, southeast, southwest
        if first:
            loss = here & _first_pass(above, east, below, west, corners)
        else:
            loss = here & _second_pass(above, east, below, west, corners)
        places[amount] = i
        losses[amount] = loss
        amount += loss != 0
    return amount


@numba.njit(cache=True, nogil=True)
def _enqueue(
    words: npt.NDArray[np.uint64],
    stride: int,
    places: npt.NDArray[np.int64],
    losses: npt.NDArray[np.uint64],
    due: npt.NDArray[np.int32],
    visit: int,
    queue: npt.NDArray[np.int64],
    amount: int,
) -> int:
    """Append the words that see one of these losses; return the queue's new length."""
    for k in range(len(places)):
        start = -1 if losses[k] & ONE else 0
        stop = 2 if losses[k] >> TOP else 1
        for row in range(places[k] - stride, places[k] + stride + 1, stride):
            for i in range(row + start, row + stop):
                if due[i] != visit and words[i] != 0:
                    due[i] = visit
                    queue[amount] = i
                    amount += 1
    return amount


# The two tables as Boolean functions: one line for each set of direct neighbours that are set (and
# the others not), which holds for the corners it names. `n, e, s, w` are the direct neighbours.
_Corners = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@numba.njit(cache=True, nogil=True)
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


@numba.njit(cache=True, nogil=True)
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
