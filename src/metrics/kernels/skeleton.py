"""Skeletons by thinning, 64 pixels at a time, equal to scikit-image's `skeletonize` bit by bit.

The scheme is Zhang and Suen's ("A fast parallel algorithm for thinning digital patterns", CACM
1984): two passes take turns, each removes at once all pixels whose eight neighbors allow it. Which
neighborhoods allow it is scikit-image's table, which differs from the paper's rule for 25 of 256.
"""

import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask, require_map
from src.metrics.kernels import compiled
from src.metrics.kernels.bits import ONE, TOP, Words, pack, unpack

_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_BATCH = 128
_ALL = np.uintp(_BATCH)

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
    changed = np.empty((2, 3 * words.size), np.int64)
    amounts = np.zeros(2, np.int64)
    border = np.flatnonzero(_on_border(words))
    changed[0, : len(border)], amounts[0] = border, len(border)
    visited, queue = np.zeros(words.size, np.int64), np.empty(words.size, np.int64)
    losses = np.empty(words.size + _BATCH, np.uint64)
    near = np.zeros((9, _BATCH), np.uint64)
    _thin(words.reshape(-1), words.shape[1], changed, amounts, visited, queue, losses, near)


def _on_border(words: Words) -> Mask:
    """Words with pixels that are not amidst full words: no others can lose any at first."""
    full = words == _FULL
    rows = full[:-2] & full[1:-1] & full[2:]
    result = words != 0
    result[1:-1, 1:-1] &= ~(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])
    return np.asarray(result)


@compiled
def _thin(
    words: Row,
    stride: int,
    changed: npt.NDArray[np.int64],
    amounts: Places,
    visited: Places,
    queue: Places,
    losses: Row,
    near: Words,
) -> None:
    # A word can only lose pixels in a pass if it or a word beside it changed since the last pass
    # of the same kind: in that pass itself or in the one between. All others are left alone.
    # `changed` lists the words of the last two passes that changed, and those beside them in their
    # row that see it; `visited` says in which pass a word was looked at.
    turn = 0
    while True:
        turn += 1
        side = turn & 1
        visits = 0
        for other in range(2):
            for k in range(amounts[other]):
                i = changed[other, k] - stride
                for _ in range(3):
                    if visited[i] != turn:
                        visited[i] = turn
                        if words[i]:
                            queue[visits] = i
                            visits += 1
                    i += stride
        if visits == 0:
            return
        # Which words lose which pixels: moved to the queue's front. The words themselves stay as
        # they are until all of a pass are known.
        start = amount = 0
        while start < visits:
            count = visits - start
            if count > _BATCH:
                count = _BATCH
            for k in range(count):
                i = queue[start + k] - stride
                for row in range(3):
                    near[row, k] = words[i - 1]
                    near[row + 3, k] = words[i]
                    near[row + 6, k] = words[i + 1]
                    i += stride
            loss = losses[amount:]
            # Nothing but bit operations on consecutive words, a fixed number of them, so that the
            # compiler works on several at once. The table as Boolean functions: one line for each
            # set of direct neighbors that are set (and the others not), which holds for the corners
            # that it names.
            for k in range(_ALL):
                n, here, s = near[3, k], near[4, k], near[5, k]
                w = (here << ONE) | (near[1, k] >> TOP)
                e = (here >> ONE) | (near[7, k] << TOP)
                nw = (n << ONE) | (near[0, k] >> TOP)
                ne = (n >> ONE) | (near[6, k] << TOP)
                sw = (s << ONE) | (near[2, k] >> TOP)
                se = (s >> ONE) | (near[8, k] << TOP)
                no_nw, no_ne, no_sw, no_se = ~nw, ~ne, ~sw, ~se
                n_e, no_n, no_e = n & e, e & ~n, n & ~e
                s_w, no_s, no_w = s & w, w & ~s, s & ~w
                neither, none = ~(n | e), ~(s | w)
                if side:
                    gone = (
                        (no_e & none & (nw | ne) & no_se & no_sw)
                        | (no_n & none & no_nw & ne & no_sw)
                        | (n_e & none & (ne | no_se) & no_sw)
                        | (neither & no_w & no_nw & no_ne & se & sw)
                        | (no_n & no_w & no_nw & ((se & (ne | sw)) | ~(ne | se | sw)))
                        | (neither & no_s & nw & no_ne & no_se & sw)
                        | (no_e & no_s & no_se)
                        | (n_e & no_s & nw & ne & (no_se | no_sw))
                        | (neither & s_w & no_ne & ((sw & (nw | se)) | ~(se | sw)))
                        | (no_e & s_w & nw & sw & (no_ne | no_se))
                    )
                else:
                    gone = (
                        (no_e & none & nw & ne & no_se & no_sw)
                        | (no_n & none & no_nw & se & no_sw)
                        | (n_e & none & no_sw & (~(nw ^ ne) | (no_nw & se)))
                        | (neither & no_w & no_nw & no_ne & sw)
                        | (no_n & no_w & no_nw & (no_ne | se | sw))
                        | (n_e & no_w & ne & se & (no_nw | no_sw))
                        | (neither & no_s & no_ne & no_se & sw)
                        | (no_e & no_s & no_se & ((nw & (sw | ne)) | ~(nw | ne | sw)))
                        | (neither & s_w & no_ne & (no_nw | sw))
                        | (no_n & s_w & se & sw & (no_nw | no_ne))
                    )
                loss[k] = here & gone
            for k in range(count):
                queue[amount] = queue[start + k]
                losses[amount] = loss[k]
                amount += loss[k] != 0
            start += count
        marks = 0
        for k in range(amount):
            i, lost = queue[k], losses[k]
            words[i] ^= lost
            changed[side, marks] = i
            marks += 1
            if lost & ONE:
                changed[side, marks] = i - 1
                marks += 1
            if lost >> TOP:
                changed[side, marks] = i + 1
                marks += 1
        amounts[side] = marks
