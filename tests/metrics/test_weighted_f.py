import warnings

import numpy as np
import pytest
from py_sod_metrics import WeightedFmeasure

from src.metrics.weighted_f import weighted_f

from .maps import soft_pair


def peer(prediction: np.ndarray, target: np.ndarray) -> float:
    measure = WeightedFmeasure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it takes the logarithm of maps and the like
        measure.step(prediction, target)
    return float(measure.get_results()["wfm"])


def test_equals_the_peer_on_random_pairs() -> None:
    rng = np.random.default_rng(0)
    for _ in range(1000):
        prediction, target = soft_pair(rng)
        assert weighted_f(prediction, target) == pytest.approx(peer(prediction, target), abs=1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 3), (2, 400), (400, 2)])
@pytest.mark.parametrize("target", [0, 128, 129, 255])
@pytest.mark.parametrize("prediction", [0, 77, 255])
def test_equals_the_peer_on_constant_maps(
    shape: tuple[int, int], target: int, prediction: int
) -> None:
    maps = np.full(shape, prediction, np.uint8), np.full(shape, target, np.uint8)
    assert weighted_f(*maps) == pytest.approx(peer(*maps), abs=1e-12)


def test_equals_the_peer_where_the_foreground_is_hundreds_of_pixels_away() -> None:
    rng = np.random.default_rng(0)
    target = np.zeros((600, 900), np.uint8)
    target[3, 5] = target[590:, 880:] = 255
    dense = rng.integers(0, 256, target.shape).astype(np.uint8)
    sparse = np.where(rng.random(target.shape) < 0.001, dense, 0).astype(np.uint8)
    for prediction in (dense, sparse):
        assert weighted_f(prediction, target) == pytest.approx(peer(prediction, target), abs=1e-12)


def test_truth_without_foreground_scores_zero() -> None:
    assert weighted_f(np.zeros((5, 6), np.uint8), np.full((5, 6), 128, np.uint8)) == 0


def test_levels_replace_the_stretching() -> None:
    rng = np.random.default_rng(0)
    target = np.zeros((40, 50), np.uint8)
    target[10:30, 15:40] = 255
    faint = np.where(target > 128, 130, 20).astype(np.uint8)
    measure = WeightedFmeasure()
    measure.step(faint / 255, target > 128, normalize=False)
    raw = weighted_f(faint, target, levels=np.arange(256) / 255)
    assert raw == pytest.approx(measure.get_results()["wfm"], abs=1e-12)
    assert weighted_f(faint, target) == 1
    noisy = rng.integers(0, 256, target.shape).astype(np.uint8)
    steps = np.round(np.linspace(0, 1, 256), 1)  # several gray levels stand for 0 and for 1
    measure = WeightedFmeasure()
    measure.step(steps[noisy], target > 128, normalize=False)
    ours = weighted_f(noisy, target, levels=steps)
    assert ours == pytest.approx(measure.get_results()["wfm"], abs=1e-12)


def test_strided_and_read_only_maps_are_taken_as_they_are() -> None:
    rng = np.random.default_rng(0)
    prediction, target = soft_pair(rng)
    expected = weighted_f(prediction, target)
    twice = np.repeat(prediction, 2, axis=1)[:, ::2]
    target.flags.writeable = False
    assert weighted_f(twice, target) == expected


def test_maps_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"prediction is \(4, 5\) but the target is \(5, 4\)"):
        weighted_f(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8))


def test_a_short_table_of_levels_is_refused() -> None:
    gray = np.full((5, 4), 200, np.uint8)
    with pytest.raises(ValueError, match=r"256 gray levels, not \(2,\)"):
        weighted_f(gray, gray, levels=np.array([0.0, 1.0]))
