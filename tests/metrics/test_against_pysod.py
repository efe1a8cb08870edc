"""Equal to PySODMetrics on any map, however small, empty, full or constant."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_sod_metrics import MAE, Emeasure, Smeasure, WeightedFmeasure
from py_sod_metrics.fmeasurev2 import FmeasureHandler, FmeasureV2, IOUHandler

from src.metrics import score_image

NAMES = ["mae", "s_measure", "max_f", "mean_f", "adp_f", "max_e", "mean_e", "adp_e"]
NAMES += ["max_iou", "mean_iou", "adp_iou", "weighted_f"]


def pysod(prediction: np.ndarray, target: np.ndarray, normalize: bool = True) -> dict[str, float]:
    """PySODMetrics' numbers under our names; nan where it divides by nothing."""
    options: dict[str, Any] = {"with_dynamic": True, "with_adaptive": True}
    curves = FmeasureV2({"fm": FmeasureHandler(**options, beta=0.3), "iou": IOUHandler(**options)})
    measures = {
        "mae": MAE(), "sm": Smeasure(), "em": Emeasure(), "wfm": WeightedFmeasure(), "": curves
    }  # fmt: skip
    results: dict[str, Any] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for measure in measures.values():
            if normalize:
                measure.step(prediction, target)
            else:
                measure.step(prediction / 255, target > 128, normalize=False)
            results |= measure.get_results()
    values = {name: results[name] for name in ("mae", "sm", "wfm")}
    values = {"mae": values["mae"], "s_measure": values["sm"], "weighted_f": values["wfm"]}
    for key, short in (("fm", "f"), ("em", "e"), ("iou", "iou")):
        curve = np.asarray(results[key].get("curve", results[key].get("dynamic")))
        adaptive = results[key].get("adp", results[key].get("adaptive"))
        values |= {f"max_{short}": curve.max(), f"mean_{short}": curve.mean()}
        values[f"adp_{short}"] = np.mean(adaptive)
    return {name: float(value) for name, value in values.items()}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Maps of odd sizes: noise, few levels, blocks at the borders, single pixels, constants."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return _map(draw, rng, height, width), _map(draw, rng, height, width)


def _map(draw: st.DrawFn, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    kind = draw(st.sampled_from(["noise", "few", "constant", "block", "pixel", "binary"]))
    level = draw(st.sampled_from([0, 1, 51, 127, 128, 129, 254, 255]))
    if kind == "noise":
        return rng.integers(0, 256, (height, width), dtype=np.uint8)
    if kind == "few":
        return rng.choice(np.array([0, level, 85, 255], np.uint8), (height, width))
    if kind == "binary":
        return np.where(rng.random((height, width)) < 0.3, 255, 0).astype(np.uint8)
    gray = np.full((height, width), level if kind == "constant" else 0, np.uint8)
    row, column = rng.integers(height), rng.integers(width)
    if kind == "pixel":
        gray[row, column] = 255
    if kind == "block":
        gray[row:, column:] = level
    return np.ascontiguousarray(gray[:: draw(st.sampled_from([1, -1]))])


def assert_equal(ours: dict[str, float], theirs: dict[str, float]) -> None:
    for name, value in ours.items():
        wanted = theirs[name.removesuffix("_raw")]
        if math.isnan(wanted):
            # An empty quadrant: theirs is 0 / 0 times a weight of 0, ours leaves it out.
            assert name.startswith("s_measure")
            assert 0 <= value <= 1
        else:
            # The E-measure of a single pixel is divided by 2e-16.
            assert value == pytest.approx(wanted, abs=1e-6, rel=1e-6), name


@settings(max_examples=300, deadline=None, derandomize=True)
@given(pairs())
def test_min_max_normalized(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert_equal(score_image(*pair, NAMES), pysod(*pair))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pairs())
def test_raw(pair: tuple[np.ndarray, np.ndarray]) -> None:
    names = [f"{name}_raw" for name in NAMES]
    assert_equal(score_image(*pair, names), pysod(*pair, normalize=False))


@pytest.mark.parametrize("prediction", [0, 1, 77, 128, 255])
@pytest.mark.parametrize("target", [0, 255])
@pytest.mark.parametrize("size", [(7, 5), (128, 3), (37, 64)])
def test_constant_maps(prediction: int, target: int, size: tuple[int, int]) -> None:
    pair = np.full(size, prediction, np.uint8), np.full(size, target, np.uint8)
    assert_equal(score_image(*pair, NAMES), pysod(*pair))


@pytest.mark.parametrize("level", [3, 85, 128, 200, 254])
def test_constant_prediction_of_a_block(level: int) -> None:
    """Quadrants in which both maps are constant: the last bit of numpy's mean decides on 0 or 1."""
    prediction = np.full((61, 47), level, np.uint8)
    target = np.zeros_like(prediction)
    target[:9, :5] = 255
    assert_equal(score_image(prediction, target, NAMES), pysod(prediction, target))


def test_empty_truth_and_empty_prediction() -> None:
    black = np.zeros((100, 140), np.uint8)
    values = score_image(black, black, ["max_f", "weighted_f", "s_measure", "max_e", "adp_e"])
    assert values["max_f"] == values["weighted_f"] == values["adp_e"] == 0
    assert values["s_measure"] == 1
    assert values["max_e"] == pytest.approx(14000 / 13999)


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_truth_in_a_corner_has_a_finite_s_measure(corner: tuple[int, int]) -> None:
    target = np.zeros((20, 30), np.uint8)
    target[corner] = 255
    assert score_image(target, target, ["s_measure"])["s_measure"] == pytest.approx(1)


def test_maps_need_not_be_contiguous() -> None:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (2, 40, 60), dtype=np.uint8)
    crop = wide[:, 3:30:2, 5:50:3]
    copied = score_image(crop[0].copy(), crop[1].copy(), NAMES)
    assert score_image(crop[0], crop[1], NAMES) == copied
