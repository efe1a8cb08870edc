"""The interactive field's simulated user clicks where the field's code does, every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy.ndimage import distance_transform_edt

from src.datamodules.clicks import Click
from src.datamodules.depth import squared_depths
from src.datamodules.simulated_user import Jitter, SimulatedUser
from src.errors import UserError

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def canvas(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (20, 30)) -> np.ndarray:
    """A mask of boxes, each first and last row, first and last column."""
    mask = np.zeros(size, bool)
    for top, bottom, left, right in boxes:
        mask[top : bottom + 1, left : right + 1] = True
    return mask


@settings(deadline=None)  # the first one compiles
@given(masks)
def test_depths_are_the_whole_squares_of_distances_with_the_border_outside(
    mask: np.ndarray,
) -> None:
    distances = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    np.testing.assert_array_equal(squared_depths(mask), np.rint(distances**2).astype(int))


def test_a_full_image_is_deepest_where_all_borders_are_far() -> None:
    depths = squared_depths(np.ones((2001, 2003), np.bool_))
    assert np.argwhere(depths == depths.max()).tolist() == [[1000, x] for x in (1000, 1001, 1002)]
    assert depths.max() == 1001**2


def test_the_first_click_lies_deepest_in_the_object_first_in_row_major_order() -> None:
    target = canvas((3, 7, 5, 9), (3, 7, 15, 21))
    assert SimulatedUser(target).click(np.zeros_like(target)) == Click(7, 5, True)


def test_the_image_border_counts_as_the_error_s_border() -> None:
    target = canvas((0, 6, 0, 6))
    assert SimulatedUser(target).click(np.zeros_like(target)) == Click(3, 3, True)


def test_equally_deep_errors_are_clicked_outside_the_object_first() -> None:
    target, prediction = canvas((2, 6, 2, 6)), canvas((10, 14, 20, 24))
    assert SimulatedUser(target).click(prediction) == Click(22, 12, False)


def test_the_deepest_pixel_wins_over_the_larger_region() -> None:
    target = canvas((1, 3, 0, 28), (8, 14, 10, 16))
    assert SimulatedUser(target).click(np.zeros_like(target)) == Click(13, 11, True)


def test_where_nothing_is_wrong_the_first_pixel_is_clicked_as_outside_again_and_again() -> None:
    target = canvas((5, 9, 5, 9))
    user = SimulatedUser(target)
    assert [user.click(target) for _ in range(2)] == [Click(0, 0, False)] * 2


def test_a_clicked_pixel_is_not_clicked_again_and_its_neighbours_keep_their_depth() -> None:
    target = canvas((5, 9, 5, 9))
    user, nothing = SimulatedUser(target), np.zeros_like(target)
    assert user.click(nothing) == Click(7, 7, True)
    assert user.click(nothing) == Click(6, 6, True)  # depth 2, first in row-major order
    assert user.click(nothing) == Click(7, 6, True)


def test_void_pixels_are_neither_wrong_nor_counted() -> None:
    target = canvas((5, 9, 5, 9))
    void = canvas((5, 9, 8, 9), (0, 3, 20, 29))
    prediction = canvas((0, 3, 20, 29), (5, 9, 5, 6))
    user = SimulatedUser(target, void)
    assert user.iou(prediction) == pytest.approx(2 / 3)
    assert user.click(prediction) == Click(7, 5, True)  # of the column that is left


def test_jitter_draws_the_same_click_for_the_same_seed_name_and_number() -> None:
    target = canvas((2, 17, 4, 25))

    def clicks(jitter: Jitter) -> list[Click]:
        user = SimulatedUser(target, jitter=jitter)
        return [user.click(np.zeros_like(target)) for _ in range(4)]

    first = clicks(Jitter(0, "image:1"))
    assert clicks(Jitter(0, "image:1")) == first
    assert len({*first, *clicks(Jitter(1, "image:1")), *clicks(Jitter(0, "image:2"))}) > 8


def test_jitter_stays_in_the_connected_error_that_holds_the_deepest_pixel() -> None:
    target = canvas((1, 3, 1, 12), (8, 16, 10, 20))
    for seed in range(50):
        click = SimulatedUser(target, jitter=Jitter(seed, "a", gamma=0)).click(target & False)
        assert click.inside
        assert 8 <= click.y <= 16
        assert 10 <= click.x <= 20


@pytest.mark.parametrize("gamma", [0, 1, 3])
def test_jitter_draws_by_depth_to_the_power_of_gamma(gamma: float) -> None:
    target = canvas((1, 3, 1, 3))  # depths 1 around a 2
    drawn = [
        SimulatedUser(target, jitter=Jitter(s, "a", gamma)).click(~target & False)
        for s in range(600)
    ]
    middle = np.mean([click == Click(2, 2, True) for click in drawn])
    expected = 2**gamma / (8 + 2**gamma)
    assert middle == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("gamma", [-1, float("nan"), float("inf")])
def test_a_gamma_that_draws_nothing_is_refused(gamma: float) -> None:
    with pytest.raises(UserError, match="give a number from 0 on"):
        Jitter(0, "a", gamma)
