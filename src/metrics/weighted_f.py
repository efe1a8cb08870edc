"""Weighted F-measure (Margolin, Zelnik-Manor, Tal, "How to Evaluate Foreground Maps?", CVPR 2014).

Errors on the foreground are smoothed, as pixels there depend on each other; errors on the
background weigh more the farther from the foreground they are. beta² = 1, as everywhere in use.
"""

from functools import cache

import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Curve, Gray, Levels, levels_or_min_max, require_pair
from src.metrics._record import variants


def weighted_f(prediction: Gray, target: Gray, *, levels: Levels | None = None) -> float:
    """Weighted F of a uint8 `(H, W)` prediction against a uint8 `(H, W)` target, > 128 foreground.

    Equal to PySODMetrics' up to the order of its sums; 0 for a target without foreground.

    Args:
        prediction: Map of gray levels.
        truth: Map of gray levels.
        levels: What each gray level of the prediction stands for in [0, 1], `(256,)`; by default
            `v / 255` and then min-max over the map.

    Raises:
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional, their sizes differ, or `levels`
            is not `(256,)`.
    """
    # numba is imported once a map is scored
    from src.metrics.kernels.weighted_errors import (
        background_error,
        column_distances,
        foreground_error,
    )

    require_pair(prediction, target)
    foreground = int(np.count_nonzero(target > FOREGROUND_ABOVE))
    if foreground == 0:
        return 0.0
    values = levels_or_min_max(levels, prediction)
    # one kind of array, one compilation: a strided or read-only map would cause another
    prediction = np.require(prediction, requirements=["C", "W"])
    target = np.require(target, requirements=["C", "W"])
    values = np.require(values, requirements=["C", "W"])
    distances = column_distances(target)
    missed = float(foreground_error(prediction, distances, np.abs(values - 1), _smoothing()))
    extra = float(background_error(prediction, distances, values, _fading()))
    hit = foreground - missed
    recall = 1 - missed / foreground
    eps = float(np.spacing(1))
    precision = hit / (hit + extra + eps)
    return 2 * recall * precision / (recall + precision + eps)


@cache
def _smoothing() -> Curve:
    """One axis of the 7×7 Gaussian of sigma 5, which is the product of the two."""
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 5.0**2))
    return np.asarray(weights / weights.sum())


@cache
def _fading() -> Curve:
    """What is taken from a background error's weight 2, by squared distance."""
    from src.metrics.kernels.weighted_errors import FAR

    return np.exp(np.log(0.5) / 5 * np.sqrt(np.arange(FAR**2)))


RECORDS = variants(
    name="weighted_f",
    score="weighted F, beta^2 1",
    of_image=lambda pair, raw: weighted_f(
        pair.prediction, pair.target, levels=pair.curves(raw).levels
    ),
)
