"""The points and regions that a person would have to correct, from an area's contours.

Boundary runs are approximated by polygons (Ramer 1972, Douglas and Peucker 1973) exactly as
OpenCV's `approxPolyDP(curve, epsilon, closed=False)` does it, its last step included, which drops
vertices on nearly straight lines; only the vertices' number is kept. OpenCV up to 4.12 measured
distances to the chord's whole line and gives other numbers; ours do not hang on what is installed.
"""

import numpy as np
import numpy.typing as npt

from src.metrics.kernels import compiled
from src.metrics.kernels.bits import ONE, Words

Curve = npt.NDArray[np.int32]  # (N, 2) points x, y
Coordinates = npt.NDArray[np.int32]
Places = npt.NDArray[np.int64]


def count_corrections(
    points: Curve, ends: Places, parents: Places, touching: Words, epsilon: float
) -> tuple[int, int]:
    """Control points of all runs on the boundary, and regions without any run.

    A run is an unbroken piece of a contour where `touching` is set and that no run before it holds.

    Args:
        points: Points x, y of all contours, one contour after the other.
        ends: Where each contour ends in `points`.
        parents: The contour around each contour, -1 without one: regions at even depth, holes of
            their parent at odd depth.
        touching: Map of `bits.pack`; left without the pixels of the runs.
        epsilon: Tolerance of the polygon approximation, in pixels.
    """
    xs, ys = np.ascontiguousarray(points.T, np.int32)
    longest = int(np.diff(ends, prepend=0).max())
    # A contour's runs and, once more, its first one; and memory for their approximation.
    run_x, run_y = np.empty((2, 2 * longest), np.int32)
    stack, kept = np.empty((2, 2 * longest), np.int64)
    stops = np.zeros(longest + 1, np.int64)
    drawn = np.zeros(len(ends), np.bool_)
    vertices = _count_all(
        xs,
        ys,
        ends,
        touching.reshape(-1),
        touching.shape[1],
        epsilon**2,
        run_x,
        run_y,
        stops,
        stack,
        kept,
        drawn,
    )
    regions = _regions(parents)
    outer = regions == np.arange(len(regions))
    outer[regions[drawn]] = False
    return vertices, int(np.count_nonzero(outer))


def _regions(parents: Places) -> Places:
    """The outer contour of the region that each bounds: itself or, of a hole, its parent."""
    depth, above = np.zeros_like(parents), parents
    while (above >= 0).any():
        depth += above >= 0
        above = np.where(above >= 0, parents[above], -1)
    return np.where(depth % 2 == 1, parents, np.arange(len(parents)))


@compiled
def _count_all(
    xs: Coordinates,
    ys: Coordinates,
    ends: Places,
    touching: npt.NDArray[np.uint64],
    stride: int,
    tolerance: float,
    run_x: Coordinates,
    run_y: Coordinates,
    stops: Places,
    stack: Places,
    kept: Places,
    drawn: npt.NDArray[np.bool_],
) -> int:
    """Control points of all runs; marks the contours that have one in `drawn`."""
    vertices = 0
    place = 0
    for contour in range(len(ends)):
        # The contour's runs, one after the other; run 1 goes from 0 to `stops[1]`.
        length = runs = 0
        unbroken = False
        while place < ends[contour]:
            x, y = xs[place], ys[place]
            place += 1
            word = (y + 1) * stride + (x >> 6) + 1
            bit = ONE << np.uint64(x & 63)
            if touching[word] & bit:
                touching[word] ^= bit
                if not unbroken:
                    runs += 1
                run_x[length] = x
                run_y[length] = y
                length += 1
                stops[runs] = length
                unbroken = True
            else:
                unbroken = False
        if runs == 0:
            continue
        drawn[contour] = True
        run = 1
        if runs > 1:
            x, y = run_x[0] - run_x[length - 1], run_y[0] - run_y[length - 1]
            if x * x + y * y <= 2:  # neighbors: one run
                k = stops[1]
                while k > 0:  # joined back to front, as the authors do
                    k -= 1
                    run_x[length] = run_x[k]
                    run_y[length] = run_y[k]
                    length += 1
                stops[runs] = length
                run = 2
        while run <= runs:
            start, end = stops[run - 1], stops[run] - 1
            run += 1
            if end - start < 2:
                vertices += end - start + 1
                continue
            # Points from `start` to the top of the stack lie near their chord, or it is split.
            depth = amount = 0
            stack[0] = end
            while depth >= 0:
                end = stack[depth]
                x0, y0 = run_x[start], run_y[start]
                dx, dy = run_x[end] - x0, run_y[end] - y0
                square = dx * dx + dy * dy
                farthest = split = 0
                for k in range(start + 1, end):
                    px, py = run_x[k] - x0, run_y[k] - y0
                    along = px * dx + py * dy
                    aside = py * dx - px * dy
                    distance = aside * aside
                    if along > square:
                        px -= dx
                        py -= dy
                        along = -1
                    if along < 0:  # beyond an end of the chord, the distance is that to its end
                        distance = (px * px + py * py) * square
                    if distance > farthest:
                        farthest = distance
                        split = k
                if farthest > tolerance * square:
                    depth += 1
                    stack[depth] = split
                else:
                    kept[amount] = start
                    amount += 1
                    start = end
                    depth -= 1
            kept[amount] = start
            vertices += amount + 1
            # Vertices on nearly straight, slanted lines are dropped, as long as three are left.
            left, before, k = amount + 1, kept[0], 1
            while k < amount and left > 2:
                x0, y0, here, after = run_x[before], run_y[before], kept[k], kept[k + 1]
                px, py = run_x[here] - x0, run_y[here] - y0
                dx, dy = run_x[after] - x0, run_y[after] - y0
                if dx * dy != 0 and px * (dx - px) + py * (dy - py) >= 0:
                    error = 1.0 * (px * dy - py * dx)
                    if error * error <= 0.5 * tolerance * (dx * dx + dy * dy):
                        left -= 1
                        vertices -= 1
                        k += 1  # the vertex after a dropped one always stays
                before = kept[k]
                k += 1
    return vertices
