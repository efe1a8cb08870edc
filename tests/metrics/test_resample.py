"""The bootstrap computes each metric anew of the images that were drawn."""

import numpy as np
import pytest

from src.metrics import ImageResult, draw_images, resample, score_pair, summarize
from tests.metrics.numbered_pairs import make_pair

NAMES = ["mae", "max_f", "mean_iou", "max_f_dis", "mba", "whole_dice", "max_msiou", "mapr_50"]


@pytest.fixture(scope="module")
def results() -> list[ImageResult]:
    return [score_pair(*make_pair(number), NAMES, category=number % 2) for number in range(6)]


def test_a_draw_has_the_value_of_a_set_of_its_images(results: list[ImageResult]) -> None:
    draws = draw_images(len(results), 5, seed=3)
    found = resample(results, NAMES, draws)
    for i, draw in enumerate(draws):
        expected = summarize([results[j] for j in draw], NAMES)
        for name in NAMES:
            assert found[name][i] == pytest.approx(expected[name], rel=1e-12, nan_ok=True), name


def test_draws_depend_on_the_seed_alone() -> None:
    assert np.array_equal(draw_images(9, 4, seed=1), draw_images(9, 4, seed=1))
    assert not np.array_equal(draw_images(9, 4, seed=1), draw_images(9, 4, seed=2))
    assert draw_images(9, 4, seed=1).max() < 9


def test_images_on_which_a_metric_is_undefined_are_left_out_of_a_draw() -> None:
    empty = np.zeros((2, 256), np.int64)
    results = [ImageResult({"mba": value}, empty) for value in (0.5, np.nan, 1.0)]
    draws = np.array([[0, 1, 1], [0, 1, 2], [1, 1, 1]])
    found = resample(results, ["mba"], draws)["mba"]
    assert found[:2].tolist() == [0.5, 0.75]
    assert np.isnan(found[2])
