"""Each object counts alike: its metrics are those of the maps with everything else set to 0."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from src.metrics import records, score_image, score_pair, summarize
from src.metrics.size_invariant import SMALLEST
from tests.metrics.maps import Pair, random_pairs, soft_pair

PLAIN = ["max_f", "mean_f1", "adp_iou", "bin_ber", "max_kappa_pysod", "auc_roc", "auc_pr"]
OURS = {name: name.replace("_", "_si_", 1) if "auc" not in name else f"si_{name}" for name in PLAIN}
ALL = [name for name in records() if "si_" in name and not name.startswith("bin_msi")]


def object_maps(prediction: np.ndarray, target: np.ndarray) -> Iterator[Pair]:
    """Prediction and target of each object, 0 outside its box."""
    _, _, parts, _ = cv2.connectedComponentsWithStats(
        (target > 128).astype(np.uint8), connectivity=4
    )
    areas = parts[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        yield prediction, target
        return
    for x, y, width, height, area in parts[1:]:
        if area >= min(SMALLEST, areas.max()):
            box = np.s_[y : y + height, x : x + width]
            inside = np.zeros(target.shape, bool)
            inside[box] = True
            yield prediction * inside, target * inside


def test_raw_metrics_are_means_over_objects() -> None:
    rng = np.random.default_rng(2)
    for pair in [*random_pairs(3, 25, largest=50), *(soft_pair(rng) for _ in range(10))]:
        each = [score_image(*one, [f"{name}_raw" for name in PLAIN]) for one in object_maps(*pair)]
        if len(each) > 300:
            continue
        ours = score_image(*pair, [f"{name}_raw" for name in OURS.values()])
        for name, si in OURS.items():
            mean = np.mean([values[f"{name}_raw"] for values in each])
            assert ours[f"{si}_raw"] == pytest.approx(mean, abs=1e-12), name


def test_values_are_stretched_over_the_whole_map_first() -> None:
    target = np.zeros((20, 20), np.uint8)
    target[2:12, 2:12] = 255
    half = target // 2
    assert score_image(half, target, ["bin_si_f"])["bin_si_f"] == pytest.approx(1)
    assert score_image(half, target, ["bin_si_f_raw"])["bin_si_f_raw"] == 0


def test_any_number_of_objects_may_overlap() -> None:
    """70 frames around each other, each of which reaches over all inner ones."""
    target = np.zeros((290, 290), np.uint8)
    for k in range(70):
        cv2.rectangle(target, (2 * k, 2 * k), (289 - 2 * k, 289 - 2 * k), 255)
    values = score_image(target, target, ["max_si_f", "si_mae", "bin_si_accuracy"])
    assert values["max_si_f"] == pytest.approx(1)
    assert values["si_mae"] == 0
    assert values["bin_si_accuracy"] == 1


def test_more_objects_than_are_held_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    target = np.where(rng.random((60, 60)) < 0.1, 255, 0).astype(np.uint8)
    prediction = rng.integers(0, 256, target.shape, dtype=np.uint8)
    values = score_image(prediction, target, ALL)
    monkeypatch.setattr("src.metrics.size_invariant._TOGETHER", 7)
    assert score_image(prediction, target, ALL) == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("prediction", [0, 200, 255])
@pytest.mark.parametrize("target", [0, 255])
def test_no_value_is_nan_on_constant_maps(prediction: int, target: int) -> None:
    pair = np.full((9, 11), prediction, np.uint8), np.full((9, 11), target, np.uint8)
    values = score_image(*pair, [*ALL, "mae"])
    assert all(np.isfinite(value) for value in values.values())
    assert values["si_mae"] == pytest.approx(values["mae"])


def test_mae_weighs_the_outside_by_its_area() -> None:
    target = np.zeros((10, 20), np.uint8)
    target[:, :10] = 255
    prediction = np.zeros_like(target)
    prediction[0, 10] = 255  # wrong outside, and all of the object missed
    assert score_image(prediction, target, ["si_mae"])["si_mae"] == pytest.approx((1 + 0.01) / 2)


def test_every_object_of_the_set_counts_alike() -> None:
    """One image with one object that is found, one with three that are missed."""
    one = np.zeros((30, 60), np.uint8)
    one[5:15, 5:15] = 255
    three = one.copy()
    three[5:15, 25:35] = three[5:15, 45:55] = 255
    speck = np.zeros_like(one)
    speck[29, 59] = 255
    names = ["max_si_f", "max_si_f_targets", "mean_si_f_targets", "whole_si_f"]
    scores = [score_pair(one, one, names), score_pair(speck, three, names)]
    values = summarize(scores, names)
    assert values["max_si_f"] == pytest.approx((scores[0].values["max_si_f"] + 0.061) / 2, abs=0.01)
    assert values["max_si_f_targets"] == pytest.approx(1 / 4, abs=0.03)
    assert scores[1].values["whole_si_f"] == 0
    assert values["whole_si_f"] == pytest.approx(1.3 * 0.25 / (0.3 + 0.25))
