"""How far pixels are connected to the largest part of nested masks, in runs of rows."""

import cv2
import numpy as np
import numpy.typing as npt

from src.metrics._maps import Gray
from src.metrics.kernels import compiled

Indices = npt.NDArray[np.int32]


def connected_steps(reached: Gray, steps: int, background_votes: bool) -> Gray:
    """The last step up to which each pixel lies in the largest part of all masks, `(H, W)`.

    The mask of step `k`, from 1 to `steps`, is `reached >= k`. Its largest part is 4-connected and
    the first in the order of rows of equal ones. Masks without a pixel are passed over.

    Args:
        reached: uint8 `(H, W)`.
        steps: How many masks there are.
        background_votes: What lies outside a mask is one of its parts.
    """
    height, width = reached.shape
    # Pieces of rows that reach one step: few where mattes are black and white.
    pieces, piece_ends = np.zeros(height + 1, np.int32), np.empty(reached.size, np.int32)
    _find_pieces(reached, pieces, piece_ends)
    most = height * ((width + 1) // 2)  # runs
    starts, ends, parents, sizes = (np.empty(most, np.int32) for _ in range(4))
    offsets = np.zeros(height + 1, np.int32)
    result = np.full(reached.shape, steps, np.uint8)
    outside_fails = np.zeros(steps + 2, np.bool_)
    for step in range(1, steps + 1):
        outside_fails[step] = _leave_out(
            reached,
            pieces,
            piece_ends,
            step,
            background_votes,
            starts,
            ends,
            parents,
            sizes,
            offsets,
            result,
        )
    last = np.full(256, steps, np.uint8)  # of a pixel that is in the mask up to a step
    for step in range(steps, 0, -1):
        last[step - 1] = step - 1 if outside_fails[step] else last[step]
    return np.minimum(result, cv2.LUT(reached, last).reshape(reached.shape))


@compiled
def _find_pieces(reached: Gray, pieces: Indices, piece_ends: Indices) -> None:
    count = 0
    for y in range(reached.shape[0]):
        pieces[y] = count
        for x in range(1, reached.shape[1]):
            if reached[y, x] != reached[y, x - 1]:
                piece_ends[count] = x
                count += 1
        piece_ends[count] = reached.shape[1]
        count += 1
    pieces[reached.shape[0]] = count


@compiled
def _leave_out(
    reached: Gray,
    pieces: Indices,
    piece_ends: Indices,
    step: int,
    background_votes: bool,
    starts: Indices,
    ends: Indices,
    parents: Indices,
    sizes: Indices,
    offsets: Indices,
    result: Gray,
) -> bool:
    """End all parts of a mask but the largest at the step before; whether its outside ends too."""
    height, width = reached.shape
    runs, pixels = 0, 0
    for y in range(height):
        offsets[y] = runs
        stop = runs
        other = offsets[y - 1] if y > 0 else stop
        x, piece = 0, pieces[y]
        while x < width:
            if reached[y, x] < step:
                x = piece_ends[piece]
                piece += 1
                continue
            start = x
            while x < width and reached[y, x] >= step:
                x = piece_ends[piece]
                piece += 1
            starts[runs], ends[runs], parents[runs], sizes[runs] = start, x, runs, 0
            pixels += x - start
            while other < stop and ends[other] <= start:
                other += 1
            above = other
            while above < stop and starts[above] < x:
                a, b = runs, above
                while parents[a] != a:
                    a = parents[a]
                while parents[b] != b:
                    parents[b] = parents[parents[b]]
                    b = parents[b]
                # The earlier run is the root, so that roots are in the order of rows.
                if a < b:
                    parents[b] = a
                else:
                    parents[a] = b
                above += 1
            runs += 1
    offsets[height] = runs
    largest = 0
    for run in range(runs):
        root = run
        while parents[root] != root:
            root = parents[root]
        parents[run] = root
        sizes[root] += ends[run] - starts[run]
    for run in range(runs):
        if sizes[run] > sizes[largest]:
            largest = run
    if runs == 0:
        return False
    outside_is_largest = background_votes and height * width - pixels >= sizes[largest]
    for y in range(height):
        for run in range(offsets[y], offsets[y + 1]):
            if outside_is_largest or parents[run] != largest:
                for x in range(starts[run], ends[run]):
                    if result[y, x] >= step:
                        result[y, x] = step - 1
    return not outside_is_largest
