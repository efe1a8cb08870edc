"""What clicks and boxes mean, in pixels of the image."""

from typing import Any

import numpy as np
import pytest

from src.datamodules.clicks import PointsError
from src.inference.interactive import Correction, read_extremes, read_inside_outside
from src.processing.crop import Box, BoxError

SIZE = (80, 100)
FOUR = [(10, 50), (60, 52), (30, 20), (33, 70)]
BOX = (10, 20, 60, 70)


def extremes(points: Any = FOUR, labels: Any = None, box: Any = None) -> Any:
    return read_extremes(points, labels, box, SIZE)


def inside_outside(points: Any = None, labels: Any = None, box: Any = BOX) -> Any:
    return read_inside_outside(points, labels, box, SIZE)


def test_the_box_of_extreme_points_is_tight() -> None:
    target = extremes()
    assert target.box == Box(10, 20, 60, 70)
    assert target.points == tuple((float(x), float(y)) for x, y in FOUR)


@pytest.mark.parametrize("points", [np.array(FOUR), np.array(FOUR, np.float32), tuple(FOUR)])
@pytest.mark.parametrize("labels", [None, [1, 1, 1, 1], np.ones(4, int), [True] * 4])
def test_points_and_labels_of_any_kind_mean_the_same(points: Any, labels: Any) -> None:
    assert extremes(points, labels) == extremes()


def test_more_than_four_points_widen_the_box() -> None:
    target = extremes([*FOUR, (90, 40)])
    assert target.box == Box(10, 20, 90, 70)
    assert len(target.points) == 5


def test_fractions_round_for_the_box_and_stay_in_the_points() -> None:
    target = extremes([(9.6, 50), (60.4, 52), (30, 19.7), (33, 70.2)])
    assert target.box == Box(10, 20, 60, 70)
    assert target.points[0] == (9.6, 50.0)


def test_half_a_pixel_belongs_to_the_first_and_the_last() -> None:
    target = extremes([(-0.5, 50), (99.9, 52), (30, -0.4), (33, 79.6)])
    assert target.box == Box(0, 0, 99, 79)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"points": FOUR[:3]}, PointsError, "3 points given, 4 needed"),
        ({"points": ()}, PointsError, "0 points given, 4 needed"),
        ({"points": [*FOUR[:3], (100, 5)]}, PointsError, "outside the image of 100 × 80"),
        ({"points": [(1, 2, 3)] * 4}, PointsError, "give .x, y. for each point"),
        ({"points": [(1, 2), (1,), (3, 4), (5, 6)]}, PointsError, "points are .x, y. each"),
        ({"labels": [1, 1, 1, 0]}, PointsError, "label all of them 1, or none"),
        ({"labels": [1]}, PointsError, "4 points but 1 labels"),
        ({"box": BOX}, BoxError, "takes no box; click the leftmost"),
        ({"points": [(x, 9) for x in (1, 2, 3, 4)]}, BoxError, "has no area"),
    ],
)
def test_extreme_points_that_cannot_be_meant(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        extremes(**arguments)


def test_a_box_alone_is_clicked_in_its_centre() -> None:
    target, further = inside_outside()
    assert target.box == Box(*BOX)
    assert target.points == ((35.0, 45.0),)
    assert further == []


def test_the_first_click_on_the_object_is_the_one_inside() -> None:
    points, labels = [(90, 5), (30, 40), (31, 41), (12, 22)], [0, 1, 1, 0]
    target, further = inside_outside(points, labels)
    assert target.points == ((30.0, 40.0),)
    assert further == [
        Correction(90.0, 5.0, False),
        Correction(31.0, 41.0, True),
        Correction(12.0, 22.0, False),
    ]


def test_without_labels_all_clicks_are_on_the_object() -> None:
    target, further = inside_outside([(30, 40), (31, 41)])
    assert target.points == ((30.0, 40.0),)
    assert further == [Correction(31.0, 41.0, True)]


@pytest.mark.parametrize(
    "corners", [[(10, 20), (60, 70)], [(60, 20), (10, 70)], [(60, 70), (10, 20)]]
)
def test_two_corners_are_a_box_wherever_they_come(corners: list[tuple[int, int]]) -> None:
    alone = inside_outside(corners, [0, 0], None)
    assert alone == inside_outside()
    mixed = inside_outside([corners[0], (30, 40), corners[1]], [0, 1, 0], None)
    assert mixed == inside_outside([(30, 40)])
    further = inside_outside([*corners, (30, 40), (12, 22)], [0, 0, 1, 0], None)[1]
    assert further == [Correction(12.0, 22.0, False)]


def test_a_box_is_cut_to_the_picture() -> None:
    assert inside_outside(box=(-9, -9, 500, 70))[0].box == Box(0, 0, 99, 70)
    assert inside_outside(box=(9.6, 19.7, 60.4, 70.2))[0].box == Box(*BOX)
    assert inside_outside(box=(0, 0, 1e300, 70))[0].box == Box(0, 0, 99, 70)
    assert inside_outside(box=np.array(BOX))[0].box == Box(*BOX)


@pytest.mark.parametrize(
    ("point", "within"),
    [((10, 20), True), ((9, 71), True), ((8.9, 40), False), ((61.1, 40), False)],
)
def test_a_click_at_the_boxs_edge_may_round_to_either_side(
    point: tuple[float, float], within: bool
) -> None:
    if within:
        assert inside_outside([point])[0].points == (point,)
    else:
        with pytest.raises(PointsError, match="lies outside of the box"):
            inside_outside([point])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"box": None}, PointsError, "where is the object"),
        ({"box": None, "points": [(1, 1), (9, 9)], "labels": [0, 1]}, PointsError, "where is"),
        ({"points": [(30, 40)], "labels": [2]}, PointsError, r"not \[2\]"),
        ({"points": [(30, 40)], "labels": []}, PointsError, "1 points but 0 labels"),
        ({"points": [(30, 80)]}, PointsError, "outside the image"),
        ({"points": [(float("nan"), 8)]}, PointsError, "outside the image"),
        ({"box": (60, 20, 10, 70)}, BoxError, "has no area; it needs x0 < x1"),
        ({"box": (10, 20, 10, 70)}, BoxError, "has no area"),
        ({"box": (120, 20, 160, 70)}, BoxError, "no pixel in an image of 100 × 80"),
        ({"box": (99, 20, 160, 70)}, BoxError, "has no area"),
        ({"box": (1, 2, 3)}, BoxError, "four finite numbers .x0, y0, x1, y1."),
        ({"box": "abcd"}, BoxError, "four finite numbers"),
        ({"box": (1, 2, float("inf"), 4)}, BoxError, "four finite numbers"),
        ({"box": None, "points": [(5, 5), (5, 60)], "labels": [0, 0]}, BoxError, "no area"),
    ],
)
def test_boxes_and_points_that_cannot_be_meant(
    arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        inside_outside(**arguments)
