"""Which cells of nested grids hold an edge of a gray map cut at each level, for multi-scale IoU."""

import numpy as np
import numpy.typing as npt

from src.metrics._maps import Counts, Gray
from src.metrics.kernels import compiled, compiled_part

SCALES = 10  # cells of 1, 2, 4 … 512 pixels
SIDE = 512
LEVELS = 256
_WORDS = LEVELS // 64
_ROW_WEIGHTS = np.array([-1, -2, -1, 0, 0, 1, 2, 1], np.int64)  # Sobel, of the eight neighbors
_COLUMN_WEIGHTS = np.array([-1, 0, 1, -2, 2, -1, 0, 1], np.int64)

Words = npt.NDArray[np.uint64]
Marks = npt.NDArray[np.uint8]


def edge_cells(prediction: Gray, target_edge: Marks) -> tuple[Counts, Counts]:
    """Count the cells with an edge of the target, and those of them with one of the prediction.

    Cells of `s` pixels a side lie on a grid that ends at the lower right corner.

    Args:
        prediction: uint8 `(H, W)`, cut at `>= level` for all 256 levels.
        target_edge: `(H, W)`, 1 at the target's edge.

    Returns:
        `(10,)` cells of the target by scale, and `(10, 256)` shared cells by scale and level.
    """
    height, width = target_edge.shape
    # One block is a cell of the largest scale. The frame makes neighbors outside, which are on at
    # no level, and the rows above and left of the image that complete the first blocks.
    top, left = -height % SIDE, -width % SIDE
    gray = np.full((height + top + 2, width + left + 2), -1, np.int16)
    gray[top + 1 : -1, left + 1 : -1] = prediction
    edge = np.zeros((height + top, width + left), np.uint8)
    edge[top:, left:] = target_edge
    cells, shared = np.zeros(SCALES, np.int64), np.zeros((SCALES, LEVELS), np.int64)
    steps = np.zeros(LEVELS + 1, np.int64)
    levels = np.zeros((SIDE // 2, SIDE // 2, _WORDS), np.uint64)
    marks = np.zeros((SIDE // 2, SIDE // 2), np.uint8)
    around, order = np.empty(8, np.int64), np.empty(8, np.int64)
    for y in range(0, height + top, SIDE):
        for x in range(0, width + left, SIDE):
            if not edge[y : y + SIDE, x : x + SIDE].any():
                continue  # no cell of the target
            levels[:], marks[:] = 0, 0
            _count_block(
                gray,
                edge,
                y,
                x,
                top,
                left,
                _ROW_WEIGHTS,
                _COLUMN_WEIGHTS,
                around,
                order,
                levels,
                marks,
                steps,
                cells,
                shared,
            )
    shared[0] = np.cumsum(steps[:LEVELS])
    return cells, shared


@compiled_part
def _set_levels(levels: Words, y: int, x: int, first: int, last: int) -> None:
    """Set the bits first to last of a cell."""
    full = ~np.uint64(0)
    for word in range(first >> 6, (last >> 6) + 1):
        bits = full
        if word == first >> 6:
            bits &= full << np.uint64(first & 63)
        if word == last >> 6:
            bits &= full >> np.uint64(63 - (last & 63))
        levels[y, x, word] |= bits


@compiled_part
def _join_cells(levels: Words, marks: Marks, side: int) -> None:
    """Join cells two by two in place, into `side` by `side`."""
    for y in range(side):
        for x in range(side):
            for word in range(levels.shape[2]):
                above = levels[2 * y, 2 * x, word] | levels[2 * y, 2 * x + 1, word]
                below = levels[2 * y + 1, 2 * x, word] | levels[2 * y + 1, 2 * x + 1, word]
                levels[y, x, word] = above | below
            above_mark = marks[2 * y, 2 * x] | marks[2 * y, 2 * x + 1]
            below_mark = marks[2 * y + 1, 2 * x] | marks[2 * y + 1, 2 * x + 1]
            marks[y, x] = above_mark | below_mark


@compiled
def _count_block(
    gray: npt.NDArray[np.int16],
    edge: Marks,
    top: int,
    left: int,
    first_row: int,
    first_column: int,
    row_weights: Counts,
    column_weights: Counts,
    around: Counts,
    order: Counts,
    levels: Words,
    marks: Marks,
    steps: Counts,
    cells: Counts,
    shared: Counts,
) -> None:
    """Add one block: pixels to `steps`, where levels begin and end, larger cells to `shared`.

    A pixel is an edge at the levels at which a Sobel derivative of the cut map is not zero. As the
    level falls, its eight neighbors come on one by one, and between two of them the derivatives
    stay as they are. Outside the image there is no edge, though a pixel may have neighbors inside.
    """
    side = marks.shape[0]
    for y in range(top, top + 2 * side):
        for x in range(left, left + 2 * side):
            if y < first_row or x < first_column:
                continue
            on = edge[y, x]
            row, column = (y - top) >> 1, (x - left) >> 1
            cells[0] += on
            marks[row, column] |= on
            first = gray[y, x]
            different = (
                (first ^ gray[y, x + 1])
                | (first ^ gray[y, x + 2])
                | (first ^ gray[y + 1, x])
                | (first ^ gray[y + 1, x + 2])
                | (first ^ gray[y + 2, x])
                | (first ^ gray[y + 2, x + 1])
                | (first ^ gray[y + 2, x + 2])
            )
            if different == 0:
                continue
            for k in range(8):
                place = k + 1 if k >= 4 else k  # the middle has no weight
                value = np.int64(gray[y + place // 3, x + place % 3])
                i = k
                while i > 0 and around[i - 1] < value:
                    around[i] = around[i - 1]
                    order[i] = order[i - 1]
                    i -= 1
                around[i] = value
                order[i] = k
            along_rows, along_columns = 0, 0
            for i in range(8):
                along_rows += row_weights[order[i]]
                along_columns += column_weights[order[i]]
                high = around[i]
                low = around[i + 1] if i < 7 else -1
                if high > low and (along_rows != 0 or along_columns != 0):
                    if on != 0:
                        steps[low + 1] += 1
                        steps[high + 1] -= 1
                    _set_levels(levels, row, column, low + 1, high)
    for scale in range(1, shared.shape[0]):
        for y in range(side):
            for x in range(side):
                if marks[y, x] == 0:
                    continue
                cells[scale] += 1
                for word in range(levels.shape[2]):
                    bits = levels[y, x, word]
                    if bits != 0:
                        for bit in range(64):
                            shared[scale, 64 * word + bit] += np.int64(
                                (bits >> np.uint64(bit)) & np.uint64(1)
                            )
        side >>= 1
        if side > 0:
            _join_cells(levels, marks, side)
