"""Clicks equal the authors', and lie on the right side of any mask."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt

from src.datamodules.clicks import (
    Click,
    PointsError,
    add_click,
    box_points,
    check_points,
    extreme_points,
    heat_map,
    inside_outside_points,
    inside_outside_prompt,
    next_click,
)
from src.processing.crop import Box, EmptyMaskError, box_of_mask
from tests.golden_data import arrays, needs_shared

SIDES = ("left", "right", "top", "bottom")
SMALL = Path(__file__).parents[1] / "golden" / "interactive.npz"
CASES, CLICKS = range(6), range(9)

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))
foregrounds = masks.filter(np.any)
seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(SMALL) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def shared() -> dict[str, np.ndarray]:
    return arrays("12_dextr_iog_helpers")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("case", CASES)
def test_extreme_points_are_all_those_the_authors_draw_from(
    golden: dict[str, np.ndarray], case: int, rng: np.random.Generator
) -> None:
    drawn = [extreme_points(golden[f"m{case}_mask"], rng).tolist() for _ in range(400)]
    for i, side in enumerate(SIDES):
        candidates = {tuple(point) for point in golden[f"m{case}_cand_{side}"].tolist()}
        ours = {tuple(points[i]) for points in drawn}
        assert ours <= candidates
        assert len(candidates) > 20 or ours == candidates


@pytest.mark.parametrize("case", CASES)
def test_jittered_points_of_the_authors_are_within_our_limits(
    golden: dict[str, np.ndarray], case: int
) -> None:
    mask = golden[f"m{case}_mask"]
    box = box_of_mask(mask)
    limits = (box.x_min + 5, box.x_max - 5, box.y_min + 5, box.y_max - 5)
    for i, (x, y) in enumerate(golden[f"m{case}_extreme_points_pert5"]):
        along = (x, y)[i // 2]
        assert mask[y, x]
        assert along <= limits[i] if i % 2 == 0 else along >= limits[i]


@pytest.mark.parametrize("case", CASES)
def test_inside_outside_points_are_the_authors(
    golden: dict[str, np.ndarray], case: int, rng: np.random.Generator
) -> None:
    mask, theirs = golden[f"m{case}_mask"], golden[f"m{case}_iog_points"]
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]

    ours = inside_outside_points(mask, rng)

    assert np.array_equal(ours[1:], theirs[1:])
    ties = {tuple(point) for point in np.argwhere(depth == depth.max())[:, ::-1].tolist()}
    drawn = {tuple(inside_outside_points(mask, rng)[0].tolist()) for _ in range(300)}
    assert tuple(theirs[0].tolist()) in ties
    assert drawn == ties


@pytest.mark.parametrize("case", CLICKS)
def test_next_click_is_the_authors(
    golden: dict[str, np.ndarray], case: int, rng: np.random.Generator
) -> None:
    target, prediction = golden[f"c{case}_gt"], golden[f"c{case}_pred"]
    row, column = golden[f"c{case}_click_rc"].tolist()

    ours = next_click(prediction, target, rng)
    theirs = next_click(prediction, target, rng, authors_transposed=True)

    if np.array_equal(prediction, target):
        # They click at (0, 0) all the same.
        assert ours is theirs is None
        return
    assert ours == Click(column, row, bool(target[row, column]))
    assert theirs == Click(column, row, bool(target[column, row]))


@needs_shared
@pytest.mark.parametrize("case", CLICKS)
def test_click_maps_are_the_authors(
    shared: dict[str, np.ndarray], case: int, rng: np.random.Generator
) -> None:
    target, prediction = shared[f"c{case}_gt"], shared[f"c{case}_pred"]
    before = shared[f"c{case}_points_in"].transpose(2, 0, 1)
    click = next_click(prediction, target, rng, authors_transposed=True)
    after = before if click is None else add_click(before, click)
    assert np.array_equal(after.astype(np.uint8), shared[f"c{case}_points_out"])


@needs_shared
@pytest.mark.parametrize("case", CASES)
def test_heat_maps_are_the_authors(shared: dict[str, np.ndarray], case: int) -> None:
    size = shared[f"m{case}_mask"].shape
    extreme = heat_map(shared[f"m{case}_extreme_points"], size)
    np.testing.assert_allclose(extreme, 255 * shared[f"m{case}_heatmap"], rtol=1e-5, atol=1e-5)
    assert np.array_equal((extreme / 255).astype(np.uint8), shared[f"m{case}_heatmap_uint8img"])
    both = inside_outside_prompt(shared[f"m{case}_iog_points"], size).transpose(1, 2, 0)
    np.testing.assert_allclose(both, 255 * shared[f"m{case}_iog_make_gt"], rtol=1e-5, atol=1e-5)


@needs_shared
def test_the_refinement_networks_click_maps_are_the_authors() -> None:
    stored = arrays("09_iog_refinementnetwork")
    prompt = stored["points_map"][0]
    for i, (row, column, transposed, _) in enumerate(stored["clicks"].tolist()):
        prompt = add_click(prompt, Click(column, row, bool(transposed)))
        assert np.array_equal(prompt.astype(np.uint8), stored[f"clickmap_after_it{i}"][0])
        prompt = stored[f"clickmap_after_it{i}"][0].astype(np.float32)


@given(foregrounds, seeds, st.integers(0, 5))
def test_extreme_points_lie_on_the_object_near_their_sides(
    mask: np.ndarray, seed: int, jitter: int
) -> None:
    points = extreme_points(mask, np.random.default_rng(seed), jitter)
    box = box_of_mask(mask)
    assert all(mask[y, x] for x, y in points)
    (left, _), (right, _), (_, top), (_, bottom) = points.tolist()
    assert box.x_min <= left <= box.x_min + jitter
    assert box.x_max - jitter <= right <= box.x_max
    assert box.y_min <= top <= box.y_min + jitter
    assert box.y_max - jitter <= bottom <= box.y_max


@given(foregrounds, seeds)
def test_the_inside_point_is_inside_and_corners_are_not_in_the_box(
    mask: np.ndarray, seed: int
) -> None:
    points = inside_outside_points(mask, np.random.default_rng(seed)).tolist()
    x, y = points[0]
    assert mask[y, x]
    tight, (height, width) = box_of_mask(mask), mask.shape
    for x, y in points[1:]:
        # Clipping may bring a corner onto the object only at the image's own border.
        assert 0 <= x <= width
        assert 0 <= y <= height
        assert not tight.x_min < x < tight.x_max
        assert not tight.y_min < y < tight.y_max


@given(masks, st.data(), seeds)
def test_the_next_click_is_the_deepest_wrong_pixel(
    target: np.ndarray, data: st.DataObject, seed: int
) -> None:
    prediction = data.draw(hnp.arrays(np.bool_, target.shape))
    void = data.draw(hnp.arrays(np.bool_, target.shape))
    wrong = (prediction != target) & ~void

    click = next_click(prediction, target, np.random.default_rng(seed), void)

    if click is None:
        assert not wrong.any()
        return
    assert wrong[click.y, click.x]
    assert click.inside == target[click.y, click.x]
    depth = distance_transform_edt(wrong)
    assert depth[click.y, click.x] >= depth.max() - 1e-4


@given(hnp.arrays(np.bool_, (7, 11)), seeds)
def test_correcting_every_click_ends(target: np.ndarray, seed: int) -> None:
    prediction, rng = np.zeros_like(target), np.random.default_rng(seed)
    for _ in range(target.size):
        if (click := next_click(prediction, target, rng)) is None:
            break
        prediction[click.y, click.x] = click.inside
    assert np.array_equal(prediction, target)


def test_heat_maps_peak_at_their_points_and_halve_at_half_width() -> None:
    heat = heat_map([[20, 10], [40, 30]], (50, 60))
    assert heat.dtype == np.float32
    assert heat[10, 20] == heat[30, 40] == heat.max() == 255
    assert heat[15, 20] == pytest.approx(127.5)
    assert not heat_map([], (4, 5)).any()


def test_an_empty_mask_has_no_points(rng: np.random.Generator) -> None:
    for draw in (extreme_points, inside_outside_points):
        with pytest.raises(EmptyMaskError, match="no foreground"):
            draw(np.zeros((5, 5), bool), rng)


def test_a_box_and_a_point_inside_give_iogs_points() -> None:
    points = box_points((20, 40), Box(12, 22, 28, 58), (70, 25), margin=2)
    assert points.tolist() == [[20, 40], [10, 20], [10, 60], [25, 20], [25, 60]]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[1, 2], [3, 4]], "2 points given, 4 needed"),
        ([[1, 2], [3, 4], [5, 6], [9, 1]], r"outside the image of 8 × 7.*\[\[9, 1\]\]"),
        ([[1, 2], [3, 4], [5, 6], [-1, 1]], "outside"),
        ([[1, 2], [3, 4], [5, 6], [np.nan, 1]], "outside"),
        ([1, 2, 3, 4], r"shape \(4,\)"),
    ],
)
def test_points_that_cannot_be_meant_are_refused(points: list, message: str) -> None:
    with pytest.raises(PointsError, match=message):
        check_points(np.array(points), (7, 8), needed=4)


def test_points_that_can_be_meant_pass() -> None:
    assert check_points(np.array([[0, 0], [7, 6]]), (7, 8), needed=2).shape == (2, 2)
