"""What the networks are shown of clicks, and that a checkpoint can say it."""

import json
from typing import Any

import numpy as np
import pytest

from src.datamodules.clicks import (
    KINDS,
    MARGIN,
    ExtremePoints,
    InsideOutsidePoints,
    Prompts,
    prompts_of,
    to_dict,
)
from src.processing.crop import EmptyMaskError

BOTH: list[tuple[Prompts, int]] = [(ExtremePoints(), 1), (InsideOutsidePoints(), 2)]


def block() -> np.ndarray:
    """A foreground of 20 × 30 in a mask of 64 × 80."""
    mask = np.zeros((64, 80), np.uint8)
    mask[20:40, 30:60] = 255
    return mask


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def peaks(heat: np.ndarray) -> list[tuple[int, int]]:
    """Where a map is at its height, (x, y)."""
    return [(int(x), int(y)) for y, x in np.argwhere(heat == 255)]


@pytest.mark.parametrize(("prompts", "channels"), BOTH)
@pytest.mark.parametrize("training", [True, False])
def test_heat_maps_have_the_masks_size_and_reach_255(
    prompts: Prompts, channels: int, training: bool
) -> None:
    heat = prompts.draw(block(), rng(), training)
    assert heat.shape == (channels, 64, 80)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() == 255


def test_the_papers_crops() -> None:
    assert (ExtremePoints().relax, ExtremePoints().jitter) == (50, 5)
    assert (InsideOutsidePoints().relax, InsideOutsidePoints().margin) == (30, MARGIN)


def test_extreme_points_lie_on_the_sides_in_testing() -> None:
    heat = ExtremePoints().draw(block(), rng(), training=False)[0]
    found = peaks(heat)
    assert {min(x for x, _ in found), max(x for x, _ in found)} == {30, 59}
    assert {min(y for _, y in found), max(y for _, y in found)} == {20, 39}


def test_extreme_points_stray_in_training_by_the_jitter_at_most() -> None:
    chance = rng()
    drawn = [peaks(ExtremePoints(jitter=3).draw(block(), chance, True)[0]) for _ in range(40)]
    left = {min(x for x, _ in points) for points in drawn}
    assert left <= {30, 31, 32, 33}
    assert len(left) > 1
    still = [peaks(ExtremePoints(jitter=0).draw(block(), chance, True)[0]) for _ in range(9)]
    assert {min(x for x, _ in points) for points in still} == {30}


def test_the_inside_click_is_deep_and_the_others_stand_outside() -> None:
    inside, outside = InsideOutsidePoints(margin=4).draw(block(), rng(), training=True)
    ((x, y),) = peaks(inside)
    assert 38 <= x <= 51
    assert 28 <= y <= 31
    assert sorted(peaks(outside)) == [(26, 16), (26, 43), (63, 16), (63, 43)]


def test_a_session_draws_as_evaluation_does() -> None:
    points = np.array([[40, 30], [26, 16], [26, 43], [63, 16], [63, 43]])
    inside, outside = InsideOutsidePoints().heat(points, (64, 80))
    assert peaks(inside) == [(40, 30)]
    assert len(peaks(outside)) == 4
    assert len(peaks(ExtremePoints().heat(points[:4], (64, 80))[0])) == 4


@pytest.mark.parametrize("prompts", [ExtremePoints(), InsideOutsidePoints()])
def test_a_mask_without_foreground_has_no_points(prompts: Prompts) -> None:
    with pytest.raises(EmptyMaskError):
        prompts.draw(np.zeros((8, 8), np.uint8), rng(), training=False)


@pytest.mark.parametrize(
    "prompts", [ExtremePoints(relax=7, jitter=0), InsideOutsidePoints(relax=9, margin=2)]
)
def test_a_checkpoint_says_them_in_plain_values(prompts: Any) -> None:
    said = json.loads(json.dumps(to_dict(prompts)))
    assert said["kind"] in KINDS
    assert prompts_of(**said) == prompts


def test_an_unknown_kind_lists_the_known() -> None:
    with pytest.raises(
        ValueError, match="'scribbles' are unknown; known: extreme_points, inside_outside"
    ):
        prompts_of("scribbles")
