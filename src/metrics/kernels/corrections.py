"""The points and regions that a person would have to correct, from an area's contours.

Boundary runs are approximated by polygons (Ramer 1972, Douglas and Peucker 1973) exactly as
OpenCV's `approxPolyDP(curve, epsilon, closed=False)` does it, its last step included, which drops
vertices on nearly straight lines; only the vertices' number is kept. OpenCV up to 4.12 measured
distances to the chord's whole line and gives other numbers; ours do not hang on what is installed.

All compiled code that calls each other is in this file: numba's cache on disk notices no change in
other files.
"""

import numpy as np
import numpy.typing as npt

from src.metrics.kernels import compiled, compiled_part
from src.metrics.kernels.bits import ONE, Words

Curve = npt.NDArray[np.int32]  # (N, 2) points x, y
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
        touching: Map of `bits.pack`.
        epsilon: Tolerance of the polygon approximation, in pixels.
    """
    longest = int(np.diff(ends, prepend=0).max())
    run = np.empty((2 * longest, 2), np.int32)  # a contour's runs and, once more, its first one
    stops, work = np.empty(longest + 1, np.int64), np.empty((2, 2 * longest), np.int64)
    seen, drawn = np.zeros_like(touching), np.zeros(len(ends), np.bool_)
    regions = _regions(parents)
    vertices = _count_all(points, ends, regions, touching, epsilon, run, stops, *work, seen, drawn)
    outer = regions == np.arange(len(regions))
    return vertices, int(np.count_nonzero(outer & ~drawn))


@compiled
def _count_all(
    points: Curve,
    ends: Places,
    regions: Places,
    touching: Words,
    epsilon: float,
    run: Curve,
    stops: Places,
    places: Places,
    kept: Places,
    seen: Words,
    drawn: npt.NDArray[np.bool_],
) -> int:
    """Control points of all runs; marks the regions that have one in `drawn`."""
    vertices = begin = 0
    for c in range(len(ends)):
        runs = _collect_runs(points, begin, ends[c], touching, seen, run, stops)
        drawn[regions[c]] |= runs > 0
        vertices += _count_runs(run, stops, runs, epsilon, places, kept)
        begin = ends[c]
    return vertices


@compiled_part
def _collect_runs(
    points: Curve, begin: int, end: int, touching: Words, seen: Words, run: Curve, stops: Places
) -> int:
    """Write a contour's runs one after the other and where each stops; return how many."""
    length = runs = 0
    unbroken = False
    for k in range(begin, end):
        x, y = points[k, 0], points[k, 1]
        row, word, bit = y + 1, (x >> 6) + 1, ONE << np.uint64(x & 63)
        if touching[row, word] & ~seen[row, word] & bit:
            seen[row, word] |= bit
            run[length, 0], run[length, 1] = x, y
            length += 1
            unbroken = True
        elif unbroken:
            stops[runs] = length
            runs += 1
            unbroken = False
    if unbroken:
        stops[runs] = length
        runs += 1
    return runs


@compiled_part
def _count_runs(
    run: Curve, stops: Places, runs: int, epsilon: float, places: Places, kept: Places
) -> int:
    """Control points of one contour's runs; overwrites `run` behind the last one."""
    if runs == 0:
        return 0
    first, begin, length = 0, 0, stops[runs - 1]
    if runs > 1 and _adjoin(run, length - 1):
        for k in range(stops[0] - 1, -1, -1):  # joined back to front, as the authors do
            run[length, 0], run[length, 1] = run[k, 0], run[k, 1]
            length += 1
        stops[runs - 1] = length
        first, begin = 1, stops[0]
    vertices = 0
    for r in range(first, runs):
        vertices += _count_vertices(run, begin, stops[r], epsilon, places, kept)
        begin = stops[r]
    return vertices


@compiled_part
def _adjoin(run: Curve, last: int) -> bool:
    """Whether the first and the last point are neighbors."""
    x, y = run[0, 0] - run[last, 0], run[0, 1] - run[last, 1]
    return x * x <= 1 and y * y <= 1 and x * x + y * y > 0


def _regions(parents: Places) -> Places:
    """The outer contour of the region that each bounds: itself or, of a hole, its parent."""
    depth, above = np.zeros_like(parents), parents
    while (above >= 0).any():
        depth += above >= 0
        above = np.where(above >= 0, parents[above], -1)
    return np.where(depth % 2 == 1, parents, np.arange(len(parents)))


@compiled_part
def _count_vertices(
    points: Curve, first: int, stop: int, epsilon: float, places: Places, kept: Places
) -> int:
    """Vertices of the approximation of the curve of distinct points `first` to `stop`.

    `places` and `kept` are working memory, at least as long as the curve.
    """
    if stop - first <= 2:
        return stop - first
    amount = _simplify(points, first, stop, epsilon, places, kept)
    return _without_straight(points, epsilon, kept, amount)


@compiled_part
def _simplify(
    points: Curve, first: int, stop: int, epsilon: float, places: Places, kept: Places
) -> int:
    """Write the places of the vertices to `kept`; return how many there are."""
    start, amount, depth = first, 0, 1
    places[0] = stop - 1
    while depth > 0:
        end = places[depth - 1]
        split = _split(points, start, end, epsilon)
        if split < 0:
            kept[amount] = start
            amount += 1
            start = end
            depth -= 1
        else:
            places[depth] = split
            depth += 1
    kept[amount] = start
    return amount + 1


@compiled_part
def _split(curve: Curve, start: int, end: int, epsilon: float) -> int:
    """First of the points farthest from the chord, or -1 if all lie within `epsilon` of it."""
    x0, y0 = np.int64(curve[start, 0]), np.int64(curve[start, 1])
    dx, dy = curve[end, 0] - x0, curve[end, 1] - y0
    length = dx * dx + dy * dy
    farthest, split = 0, -1
    for k in range(start + 1, end):
        px, py = curve[k, 0] - x0, curve[k, 1] - y0
        along = px * dx + py * dy
        if along < 0:  # beyond an end of the chord, the distance is that to its end
            distance = (px * px + py * py) * length
        elif along > length:
            distance = ((px - dx) * (px - dx) + (py - dy) * (py - dy)) * length
        else:
            distance = (py * dx - px * dy) * (py * dx - px * dy)
        if distance > farthest:
            farthest, split = distance, k
    return split if float(farthest) > epsilon * epsilon * float(length) else -1


@compiled_part
def _without_straight(curve: Curve, epsilon: float, kept: Places, vertices: int) -> int:
    """Number of vertices once those on nearly straight, slanted lines are dropped."""
    amount = vertices
    before, k = kept[0], 1
    while k < vertices - 1 and amount > 2:
        if _is_straight(curve, before, kept[k], kept[k + 1], epsilon):
            amount -= 1
            before = kept[k + 1]  # the vertex after a dropped one always stays
            k += 2
        else:
            before = kept[k]
            k += 1
    return amount


@compiled_part
def _is_straight(curve: Curve, before: int, here: int, after: int, epsilon: float) -> bool:
    ax, ay = np.int64(curve[before, 0]), np.int64(curve[before, 1])
    bx, by = np.int64(curve[here, 0]), np.int64(curve[here, 1])
    cx, cy = np.int64(curve[after, 0]), np.int64(curve[after, 1])
    dx, dy = cx - ax, cy - ay
    if dx == 0 or dy == 0 or (bx - ax) * (cx - bx) + (by - ay) * (cy - by) < 0:
        return False
    distance = float((bx - ax) * dy - (by - ay) * dx)
    return distance * distance <= 0.5 * epsilon * epsilon * float(dx * dx + dy * dy)
