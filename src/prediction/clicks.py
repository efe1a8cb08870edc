"""What a user's clicks and box mean: which object, and which corrections of its mask.

Coordinates are pixels of the picture, x to the right and y down, (0, 0) being the centre of the
first pixel. Labels are 1 on the object and 0 outside of it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from src.datamodules.clicks import PointsError, check_points
from src.geometry.crop import Box, BoxError, box_of_points

Points = Sequence[Sequence[float]] | np.ndarray
Labels = Sequence[int] | np.ndarray
Corners = Sequence[float] | np.ndarray  # x0, y0, x1, y1
Size = tuple[int, int]

EXTREMES = 4


class Correction(NamedTuple):
    """A further click, and whether it lies on the object."""

    x: float
    y: float
    inside: bool


class Target(NamedTuple):
    """The object that the first clicks point at.

    box: Tight around it.
    points: The extreme points, or the one inside it.
    """

    box: Box
    points: tuple[tuple[float, float], ...]


def read_extremes(points: Points, labels: Labels | None, box: Corners | None, size: Size) -> Target:
    """DEXTR's clicks: four extreme points or more, whose box is the object's.

    Raises:
        PointsError: Too few, outside the image of `size` (height, width), or labelled 0.
        BoxError: All in one row or column, or a box was given.
    """
    if box is not None:
        raise BoxError(
            "this model takes no box; click the leftmost, rightmost, top and bottom point"
        )
    places = check_points(_array(points), size, needed=EXTREMES)
    if not _sides(labels, len(places)).all():
        raise PointsError("extreme points lie on the object: label all of them 1, or none")
    tight = box_of_points(np.rint(places)).clipped(size)
    return Target(_with_area(tight), tuple((float(x), float(y)) for x, y in places))


def read_inside_outside(
    points: Points | None, labels: Labels | None, box: Corners | None, size: Size
) -> tuple[Target, list[Correction]]:
    """IOG's clicks: a box, or two opposite corners of it labelled 0, and a point inside.

    Without a point labelled 1 the centre of the box counts as one. Everything behind the box and
    the first point labelled 1 is a correction.

    Raises:
        PointsError: Outside the image of `size` (height, width) or of the box, labelled anything
            but 0 and 1, or too few to make a box.
        BoxError: Without area, or outside the image.
    """
    places = check_points(_array(points), size, needed=0)
    sides = _sides(labels, len(places))
    order = list(range(len(places)))
    if box is not None:
        tight = _box_of_corners(box, size)
    else:
        corners = [i for i in order if not sides[i]][:2]
        if len(corners) < 2:
            raise PointsError(
                "where is the object? Give box=(x0, y0, x1, y1) around it, or click two opposite "
                "corners of that box, labelled 0"
            )
        order = [i for i in order if i not in corners]
        tight = _with_area(box_of_points(np.rint(places[corners])).clipped(size))
    inside = next((i for i in order if sides[i]), None)
    first = _centre(tight) if inside is None else _within(places[inside], tight)
    further = [
        Correction(float(places[i, 0]), float(places[i, 1]), bool(sides[i]))
        for i in order
        if i != inside
    ]
    return Target(tight, (first,)), further


def _array(points: Points | None) -> np.ndarray:
    given = () if points is None else points
    if not len(given):
        return np.empty((0, 2))
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise PointsError(f"points are (x, y) each, not {given!r}") from None


def _sides(labels: Labels | None, count: int) -> np.ndarray:
    """Whether each point lies on the object: all of them where nothing is said."""
    if labels is None:
        return np.ones(count, bool)
    given = list(labels)
    if len(given) != count:
        raise PointsError(f"{count} points but {len(given)} labels; give one for each")
    if wrong := [label for label in given if label not in (0, 1)]:
        raise PointsError(f"labels are 1 on the object and 0 outside of it, not {wrong}")
    return np.array(given, dtype=bool)


def _box_of_corners(corners: Corners, size: Size) -> Box:
    """The box of x0, y0, x1, y1; what lies outside the image is cut off."""
    try:
        given = np.asarray(corners, dtype=float)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape != (4,) or not np.isfinite(given).all():
        raise BoxError(f"a box is four finite numbers (x0, y0, x1, y1), not {corners!r}")
    return _with_area(_with_area(Box(*map(round, given.tolist()))).clipped(size))


def _with_area(box: Box) -> Box:
    if box.x_min >= box.x_max or box.y_min >= box.y_max:
        raise BoxError(
            f"the box {tuple(box)} has no area; it needs x0 < x1 and y0 < y1, in pixels of the "
            "picture"
        )
    return box


def _centre(box: Box) -> tuple[float, float]:
    return (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2


def _within(point: np.ndarray, box: Box) -> tuple[float, float]:
    x, y = point.tolist()
    grown = box.grown(1)  # a click at the edge may round to either side
    if not (grown.x_min <= x <= grown.x_max and grown.y_min <= y <= grown.y_max):
        raise PointsError(f"the inside point ({x:g}, {y:g}) lies outside of the box {tuple(box)}")
    return x, y
