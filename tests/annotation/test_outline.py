"""Outlines run along the edges of pixels, and what they fill is the mask."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from src.annotation.coco_encoding import Polygon, polygons


def drawn(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def filled(outlines: list[Polygon], shape: tuple[int, ...]) -> np.ndarray:
    """By the even-odd rule, at the centers of pixels: a ray to the left meets the outline."""
    inside = np.zeros(shape, bool)
    for outline in outlines:
        for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1], strict=True):
            if x0 == x1:
                inside[min(y0, y1) : max(y0, y1), x0:] ^= True
    return inside


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_outline_is_filled_again_exactly(mask: np.ndarray) -> None:
    """Holes, holes in holes, parts that touch at corners only: all of it."""
    assert np.array_equal(filled(polygons(mask), mask.shape), mask)


def test_a_rectangle_has_four_corners() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 3:17] = 255
    (outline,) = polygons(mask)
    assert sorted(outline) == [(3, 5), (3, 9), (17, 5), (17, 9)]


def test_parts_that_touch_at_a_corner_are_two_polygons() -> None:
    assert len(polygons(np.eye(2, dtype=np.uint8))) == 2


def test_a_hole_is_reached_by_a_cut_there_and_back() -> None:
    (outline,) = polygons(drawn("###", "#.#", "###"))
    assert len(outline) == 4 + 4 + 2
    assert {(1, 1), (2, 1), (2, 2), (1, 2)} < set(outline)
    assert len(set(outline)) == 8


def test_a_part_within_a_hole_is_a_polygon_of_its_own() -> None:
    mask = drawn("#####", "#...#", "#.#.#", "#...#", "#####")
    assert sorted(len(outline) for outline in polygons(mask)) == [4, 10]


@pytest.mark.parametrize("value", [1, 128, 255])
def test_foreground_is_whatever_is_not_0(value: int) -> None:
    assert len(polygons(np.full((2, 3), value, np.uint8))) == 1


def test_an_empty_mask_has_no_outline() -> None:
    assert polygons(np.zeros((4, 4), np.uint8)) == []


def test_consecutive_sides_turn() -> None:
    """No corner in the middle of a straight side, so that files stay small."""
    mask = np.zeros((40, 40), np.uint8)
    cv2.circle(mask, (20, 20), 15, 255, -1)
    (outline,) = polygons(mask)
    corners = np.array(outline)
    steps = np.roll(corners, -1, axis=0) - corners
    assert ((steps == 0).sum(axis=1) == 1).all()
    turns = steps[:, 0] == 0
    assert (turns != np.roll(turns, 1)).all()
