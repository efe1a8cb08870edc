"""Interactive metrics: void removed, thresholds stated, clicks counted."""

import numpy as np
import pytest

from src.metrics import score_pair
from src.metrics.error_percent import error_percent
from src.metrics.iou import jaccard
from src.metrics.mean_recall import mean_recall
from src.metrics.mean_recall import mean_recall_volume as volume
from src.metrics.number_of_clicks import clicks_to_reach
from tests.golden_data import arrays, needs_shared


@needs_shared
@pytest.mark.parametrize("case", range(8))
def test_jaccard_equals_the_authors(case: int) -> None:
    golden = arrays("12_dextr_iog_helpers")
    target, void, prediction = golden[f"jac{case}_avs"] > 0
    assert jaccard(prediction, target) == pytest.approx(golden["jaccard"][case, 0], abs=1e-12)
    assert jaccard(prediction, target, void) == pytest.approx(golden["jaccard"][case, 1], abs=1e-12)


def test_thresholds_of_the_histogram_equal_masks() -> None:
    rng = np.random.default_rng(0)
    prediction, target, void = rng.integers(0, 256, (3, 33, 41), dtype=np.uint8)
    values = score_pair(prediction, target, ["iou", "iou_50", "iou_80"], void=void).values
    for name, threshold in (("iou", 0.5), ("iou_50", 0.5), ("iou_80", 0.8)):
        expected = jaccard(prediction / 255 > threshold, target > 128, void > 128)
        assert values[name] == pytest.approx(expected, abs=1e-12)


def test_both_empty_outside_void_is_one() -> None:
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert score_pair(black, black, ["iou"]).values["iou"] == 1
    assert score_pair(white, white, ["iou"], void=white).values["iou"] == 1


def test_void_of_another_size_is_refused() -> None:
    maps = np.zeros((4, 5), np.uint8)
    with pytest.raises(ValueError, match=r"void is \(5, 4\)"):
        score_pair(maps, maps, ["iou"], void=maps.T)


def test_error_percent_looks_inside_the_box_only() -> None:
    target, prediction = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    target[5:15, 5:15] = 255
    prediction[5:15, 5:10] = 255
    prediction[:3] = 255  # outside the box
    void = np.zeros_like(target)
    assert error_percent(prediction, target) == 50
    void[5:15, 10:15] = 255
    assert error_percent(prediction, target, void) == 0
    assert error_percent(prediction, prediction * 0) == pytest.approx(100 * (60 + 50) / 400)


def test_mean_recall_averages_categories() -> None:
    ious, categories = [0.6, 0.4, 0.95], [3, 3, 7]
    assert mean_recall(ious, categories, 0.5) == pytest.approx((0.5 + 1) / 2)
    # Category 3: 5 of 9 and 3 of 9 thresholds below (0.6 > 0.6 is false); category 7: all.
    assert volume(ious, categories) == pytest.approx(((5 + 3) / 18 + 1) / 2)


def test_clicks_to_reach_stops_at_the_cap() -> None:
    assert clicks_to_reach([0.85], 0.85) == 1
    assert clicks_to_reach([0.1, 0.9, 0.2], 0.85) == 2
    assert clicks_to_reach([0.1] * 5, 0.85) == 20
    assert clicks_to_reach([0.1] * 25 + [1.0], 0.85) == 20
