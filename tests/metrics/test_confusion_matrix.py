"""Rates of the confusion matrix: as PySODMetrics, and the same from a stored histogram."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from py_sod_metrics import fmeasurev2 as pysod

from src.errors import UserError
from src.metrics import (
    records,
    score_histograms,
    score_image,
    score_pair,
    summarize,
)
from src.metrics.confusion_matrix import RATES
from tests.metrics.maps import random_pairs, soft_pair
from tests.metrics.numbered_pairs import make_pair

FORMS = ("max", "mean", "adp", "bin", "whole")
FROM_HISTOGRAM = [name for name, record in records().items() if record.of_histogram is not None]
HANDLERS: dict[str, type] = {
    "f1": pysod.FmeasureHandler,
    "precision": pysod.PrecisionHandler,
    "recall": pysod.RecallHandler,
    "specificity": pysod.SpecificityHandler,
    "fpr": pysod.FPRHandler,
    "iou": pysod.IOUHandler,
    "dice": pysod.DICEHandler,
    "ber": pysod.BERHandler,
    "accuracy": pysod.OverallAccuracyHandler,
    "kappa_pysod": pysod.KappaHandler,
}


def peer(prediction: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """PySODMetrics' values under our names."""
    options: dict[str, Any] = {"with_dynamic": True, "with_adaptive": True, "with_binary": True}
    handlers = {
        name: handler(**options, **({"beta": 1} if name == "f1" else {}))
        for name, handler in HANDLERS.items()
    }
    meter = pysod.FmeasureV2(handlers)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        meter.step(prediction, target)
        found = meter.get_results()
    values = {}
    for name, of in found.items():
        values[f"max_{name}"] = float(np.max(of["dynamic"]))
        values[f"mean_{name}"] = float(np.mean(of["dynamic"]))
        values[f"adp_{name}"] = float(np.mean(of["adaptive"]))
        values[f"bin_{name}"] = float(np.mean(of["binary"]))
    return values


def test_rates_are_pysods_on_any_map() -> None:
    rng = np.random.default_rng(0)
    pairs = [*random_pairs(1, 25, largest=60), *(soft_pair(rng) for _ in range(25))]
    for pair in pairs:
        theirs = peer(*pair)
        ours = score_image(*pair, list(theirs))
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_every_rate_has_five_forms_each_raw_and_a_direction() -> None:
    for name, rate in RATES.items():
        for form in FORMS:
            for raw in ("", "_raw"):
                record = records()[f"{form}_{name}{raw}"]
                assert record.higher_is_better == rate.higher_is_better
                assert record.of_histogram is not None


def test_a_stored_histogram_gives_the_values_of_the_maps_to_the_bit() -> None:
    pairs = [make_pair(seed) for seed in range(6)]
    scored = [score_pair(*pair, FROM_HISTOGRAM) for pair in pairs]
    again = score_histograms(FROM_HISTOGRAM, [one.histogram for one in scored])
    assert [one.values for one in again] == [one.values for one in scored]
    assert summarize(again, FROM_HISTOGRAM) == summarize(scored, FROM_HISTOGRAM)


def test_a_level_exactly_at_the_adaptive_threshold_is_on_by_maps_and_by_histograms() -> None:
    """Whatever the order of the pixels, which the last bit of a mean of quotients depends on."""
    rng = np.random.default_rng(0)
    names = ["adp_iou", "adp_iou_raw", "adp_e", "adp_si_iou", "adp_msiou"]
    for level in (6, 10, 30, 34, 51, 85, 102, 170):
        for many in range(7, 60):  # pixels of the level, one white one, and others so that it fits
            pixels = np.zeros(2 * many + 510 // level, np.uint8)
            pixels[:many], pixels[many] = level, 255
            rng.shuffle(pixels)
            prediction, target = pixels[None], (pixels > 0)[None] * np.uint8(255)
            scored = score_pair(prediction, target, names)
            assert scored.values["adp_iou"] == scored.values["adp_iou_raw"] == 1
            assert scored.values["adp_msiou"] == 1
            (again,) = score_histograms(names[:3], [scored.histogram])
            assert again.values == {name: scored.values[name] for name in names[:3]}


def test_a_metric_of_pixels_does_not_follow_from_a_histogram() -> None:
    histogram = score_pair(*make_pair(0), []).histogram
    with pytest.raises(UserError, match="s_measure does not follow from an image's histogram"):
        score_histograms(["s_measure"], [histogram])


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 256), np.int64), np.ones((2, 255), np.int64), np.ones((2, 256))]
)
def test_what_is_no_histogram_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a histogram is"):
        score_histograms(["mse"], [wrong])


@pytest.mark.parametrize("prediction", [0, 77, 255])
@pytest.mark.parametrize("target", [0, 255])
@pytest.mark.parametrize("size", [(1, 1), (7, 5)])
def test_no_rate_is_nan_on_constant_maps(
    prediction: int, target: int, size: tuple[int, int]
) -> None:
    values = score_image(
        np.full(size, prediction, np.uint8), np.full(size, target, np.uint8), FROM_HISTOGRAM
    )
    assert all(math.isfinite(value) for value in values.values())


def test_two_empty_masks_have_an_iou_of_0_here_and_of_1_among_clicks() -> None:
    black = np.zeros((8, 8), np.uint8)
    values = score_image(black, black, ["bin_iou_raw", "bin_dice_raw", "iou", "bin_kappa_raw"])
    assert values == {"bin_iou_raw": 0, "bin_dice_raw": 0, "iou": 1, "bin_kappa_raw": 0}


def test_whole_counts_the_pixels_of_all_images_together() -> None:
    small = np.full((1, 10), 255, np.uint8), np.full((1, 10), 255, np.uint8)
    large = np.full((1, 90), 255, np.uint8), np.zeros((1, 90), np.uint8)
    scores = [score_pair(*pair, ["whole_precision", "bin_precision"]) for pair in (small, large)]
    values = summarize(scores, ["whole_precision", "bin_precision"])
    assert values == {"whole_precision": 0.1, "bin_precision": 0.5}


def test_kappa_holds_for_more_pixels_than_an_integer_has_squares() -> None:
    histogram = np.zeros((2, 256), np.int64)
    histogram[0, 0] = histogram[1, 255] = 4_000_000_000
    (result,) = score_histograms(["bin_kappa"], [histogram])
    assert result.values["bin_kappa"] == 1


def test_areas_of_a_perfect_map_are_between_its_own_points_alone() -> None:
    """At threshold 0 all is on and at 1 to 255 the object: two points in all."""
    target = np.zeros((4, 4), np.uint8)
    target[:2] = 255
    values = score_image(target, target, ["auc_roc", "auc_pr"])
    assert values == {"auc_roc": 1, "auc_pr": 0}
