"""How deep pixels lie in a region: squared Euclidean distances, in whole numbers.

OpenCV's distances differ in their last digits from one call to the next, so that of two equally
deep pixels now one is the deepest and now the other. Squares of distances between pixels are whole
numbers, and equal ones are equal.
"""

import numba
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Squares = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def squared_depths(region: Mask) -> Squares:
    """Squared distance of each pixel of `region` `(H, W)` to the nearest pixel outside of it.

    What lies beyond the array counts as outside; pixels outside have 0. Columns first, then rows,
    in time linear in the number of pixels (Meijster, Roerdink and Hesselink, "A General Algorithm
    for Computing Distance Transforms in Linear Time", 2000).
    """
    height, width = region.shape
    depths = np.empty((height, width), np.int32)
    above = np.zeros(width, np.int32)
    for y in range(height):
        inside, here = region[y], depths[y]
        for x in range(width):
            here[x] = above[x] + np.int32(1) if inside[x] else np.int32(0)
        above = here
    below, rows = np.zeros(width, np.int32), np.empty(width + 2, np.int64)
    columns, starts = np.empty(width + 2, np.int64), np.empty(width + 2, np.int64)
    for y in range(height - 1, -1, -1):
        here, x = depths[y], 0
        for column in range(width):
            below[column] = min(here[column], below[column] + np.int32(1))
        while x < width:
            if below[x] == 0:
                x += 1
                continue
            first = x
            while x < width and below[x] != 0:
                rows[x - first + 1] = below[x]
                x += 1
            _write_squares(rows[: x - first + 2], columns, starts, here[first:x])
    return depths


@numba.njit(cache=True, nogil=True)
def _write_squares(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    squares: npt.NDArray[np.int32],
) -> None:
    """Write the squared distances of an unbroken stretch of a row, given those within columns.

    The nearest pixel outside lies in a column of the stretch or in one of the two beside it:
    those are outside in this very row.

    Args:
        rows: Distances within columns, with room for the column on each side.
        columns: Room for the columns that hold a nearest pixel, as many.
        starts: Room for the first column that each of them serves, as many.
        squares: Of the stretch, to be written.
    """
    length = len(rows)
    rows[0] = rows[length - 1] = 0
    columns[0], starts[0], last = 0, 0, 0
    for x in range(1, length):
        start = length
        while last >= 0:
            column = columns[last]
            ahead = (x - column) * (x + column) + (rows[x] - rows[column]) * (
                rows[x] + rows[column]
            )
            start = ahead // (2 * (x - column)) + 1
            if start > starts[last]:
                break
            last -= 1
        if last < 0:
            start = 0
        if start < length:
            last += 1
            columns[last], starts[last] = x, start
    served = 0
    for x in range(1, length - 1):
        while served < last and starts[served + 1] <= x:
            served += 1
        aside, apart = x - columns[served], rows[columns[served]]
        squares[x - 1] = aside * aside + apart * apart
