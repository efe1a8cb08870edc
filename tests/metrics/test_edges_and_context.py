"""Multi-scale IoU, relaxed boundary F and the context measure, beside their plain forms."""

import numpy as np
import pytest

from src.errors import UserError
from src.metrics import records, score_image, score_pair, summarize
from src.metrics._image import ScoredPair
from src.metrics._joint_histogram import prepare
from src.metrics._maps import min_max_levels
from src.metrics.multi_scale_iou import curve
from tests.metrics import plain
from tests.metrics.maps import random_pairs, soft_pair

OF_EDGES = [name for name in records() if "msiou" in name or name.startswith("relax_")]


def test_multi_scale_iou_at_each_threshold_is_that_of_the_cut_map() -> None:
    rng = np.random.default_rng(4)
    for prediction, target in [*random_pairs(5, 12), *(soft_pair(rng) for _ in range(12))]:
        pair = ScoredPair(prepare(prediction, target))
        for raw in (False, True):
            levels = np.arange(256) / 255 if raw else min_max_levels(prediction)
            steps = (levels * 255).astype(int)[prediction]
            ours = curve(pair, "", raw)
            for threshold in [*rng.integers(0, 257, 6), 0, 1, 255, 256]:
                wanted = plain.multi_scale_iou(steps >= threshold, target > 128)
                assert ours[threshold] == pytest.approx(wanted, abs=1e-12), threshold


def test_adaptive_and_binary_multi_scale_iou_are_those_of_the_cut_map() -> None:
    rng = np.random.default_rng(6)
    for prediction, target in (soft_pair(rng) for _ in range(12)):
        values = min_max_levels(prediction)[prediction]
        ours = score_image(prediction, target, ["adp_msiou", "bin_msiou"])
        adaptive = values >= min(2 * values.mean(), 1)
        wanted = plain.multi_scale_iou(adaptive, target > 128)
        assert ours["adp_msiou"] == pytest.approx(wanted, abs=1e-12)
        wanted = plain.multi_scale_iou(values > 0.5, target > 128)
        assert ours["bin_msiou"] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (513, 2), (512, 513)])
def test_maps_of_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    prediction = rng.integers(0, 256, size, dtype=np.uint8)
    target = np.where(rng.random(size) < 0.01, 255, 0).astype(np.uint8)
    ours = score_image(prediction, target, ["bin_msiou_raw", "relax_f"])
    wanted = plain.multi_scale_iou(prediction > 127, target > 128)
    assert ours["bin_msiou_raw"] == pytest.approx(wanted, abs=1e-12)
    wanted = plain.relaxed_f(prediction > 127, target > 127)
    assert ours["relax_f"] == pytest.approx(wanted, abs=1e-9)


def test_multi_scale_curves_are_averaged_over_images_first() -> None:
    pairs = list(random_pairs(8, 3))
    names = ["max_msiou", "mean_msiou_raw"]
    scores = [score_pair(*pair, names) for pair in pairs]
    curves = [curve(ScoredPair(prepare(*pair)), "", raw=False) for pair in pairs]
    values = summarize(scores, names)
    assert values["max_msiou"] == np.mean(curves, axis=0).max()
    assert values["mean_msiou_raw"] == pytest.approx(
        np.mean([one.values["mean_msiou_raw"] for one in scores])
    )


def test_results_without_the_curves_of_images_are_refused() -> None:
    from src.metrics import ImageResult

    histogram = score_pair(*next(random_pairs(8, 1)), []).histogram
    with pytest.raises(UserError, match="needs the msiou of each image"):
        summarize([ImageResult({"max_msiou": 0.5}, histogram)], ["max_msiou"])


def test_half_precision_makes_a_scale_of_many_cells_score_0() -> None:
    """70 000 pixels of edge: PySODMetrics' denominator is infinite."""
    target = np.zeros((300, 480), np.uint8)
    target[:, ::4] = target[:, 1::4] = 255
    values = score_image(target, target, ["bin_msiou", "bin_msiou_pysod"])
    assert values["bin_msiou"] == 1
    assert values["bin_msiou_pysod"] == pytest.approx(1 - 1 / 18, abs=1e-3)


def test_relaxed_f_is_that_of_distances() -> None:
    rng = np.random.default_rng(9)
    for prediction, target in [*random_pairs(10, 40), *(soft_pair(rng) for _ in range(20))]:
        wanted = plain.relaxed_f(prediction > 127, target > 127)
        ours = score_image(prediction, target, ["relax_f"])["relax_f"]
        assert ours == pytest.approx(wanted, abs=1e-9)


def test_a_gray_of_128_is_foreground_for_relaxed_f_alone() -> None:
    gray = np.zeros((20, 20), np.uint8)
    gray[5:15, 5:15] = 128
    assert score_image(gray, gray, ["relax_f"])["relax_f"] == pytest.approx(1)
    assert score_image(gray, gray, ["max_f"])["max_f"] == 0


def test_an_object_at_the_border_of_the_image_has_a_boundary_there() -> None:
    full = np.full((9, 9), 255, np.uint8)
    values = score_image(full, full, ["relax_precision", "relax_recall", "relax_f"])
    assert values == pytest.approx({"relax_precision": 1, "relax_recall": 1, "relax_f": 1})


def test_context_is_that_of_its_plain_form() -> None:
    rng = np.random.default_rng(11)
    compared = 0
    for prediction, target in [*random_pairs(12, 25, 60), *(soft_pair(rng) for _ in range(25))]:
        points = np.argwhere(target > 128)
        if len(points) > 1 and np.linalg.matrix_rank(points - points[0]) == 1:
            continue  # on a line: the plain form divides by nothing
        for name, values in (
            ("context", min_max_levels(prediction)[prediction]),
            ("context_raw", prediction / 255),
        ):
            ours = score_image(prediction, target, [name])[name]
            assert ours == pytest.approx(plain.context(values, target > 128), abs=1e-9)
            compared += 1
    assert compared > 60


def test_context_of_an_object_on_a_slanted_line_is_a_number() -> None:
    """PySODMetrics inverts a singular matrix there."""
    target = np.diag(np.full(30, 255, np.uint8))
    assert score_image(target, target, ["context"])["context"] == pytest.approx(1)
    assert 0 <= score_image(np.flipud(target), target, ["context"])["context"] < 0.2


def test_context_across_tiles_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, target = soft_pair(np.random.default_rng(1))
    whole = score_image(prediction, target, ["context"])["context"]
    monkeypatch.setattr("src.metrics.context_measure._TILE", 50)
    assert score_image(prediction, target, ["context"])["context"] == pytest.approx(
        whole, abs=1e-12
    )


def test_context_where_all_around_is_of_one_level_is_that_level() -> None:
    target = np.zeros((300, 300), np.uint8)
    target[100:200, 100:200] = 255
    for level in (51, 255):
        mean, prediction = level / 255, np.full_like(target, level)
        forward, reverse = 100**2 / 300**2, np.e / (np.e - 1) * (1 - np.exp(-mean))
        wanted = 2 * forward * reverse / (forward + reverse)
        ours = score_image(prediction, target, ["context_raw"])["context_raw"]
        assert ours == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("prediction", [0, 200, 255])
@pytest.mark.parametrize("target", [0, 255])
def test_no_value_is_nan_on_constant_maps(prediction: int, target: int) -> None:
    pair = np.full((9, 11), prediction, np.uint8), np.full((9, 11), target, np.uint8)
    values = score_image(*pair, [*OF_EDGES, "context", "context_raw"])
    assert all(np.isfinite(value) for value in values.values())
    if target == 0:
        assert values["max_msiou"] == values["bin_msiou"] == 1
        assert values["relax_f"] == values["context"] == 0
