"""Sums over alpha mattes: errors by the regions of a trimap, and of what is connected."""

import numpy as np
import numpy.typing as npt

from src.metrics._maps import Counts, Gray
from src.metrics.kernels import compiled

Floats = npt.NDArray[np.float64]


def error_sums(prediction: Gray, target: Gray, trimap: Gray) -> Counts:
    """Integer sums `(3, 5)` in gray levels, by region: trimap 0, 128 and 255.

    Pixels; errors and their squares; the same of a prediction that is set to the trimap's 0 or 255.
    """
    sums = np.zeros((3, 5), np.int64)
    _add_errors(prediction, target, np.ascontiguousarray(trimap), sums)
    return sums


@compiled
def _add_errors(prediction: Gray, target: Gray, trimap: Gray, sums: Counts) -> None:
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            true, level = np.int64(target[y, x]), np.int64(trimap[y, x])
            region = (level + 1) >> 7  # 0, 128 and 255 are regions 0, 1 and 2
            error = np.int64(prediction[y, x]) - true
            if error < 0:
                error = -error
            known = error
            if region == 0:
                known = true
            elif region == 2:
                known = level - true
            sums[region, 0] += 1
            sums[region, 1] += error
            sums[region, 2] += error * error
            sums[region, 3] += known
            sums[region, 4] += known * known


def connectivity_sum(
    prediction: Gray, target: Gray, steps: Gray, where: Gray, phi: Floats
) -> float:
    """Sum of |phi(prediction) - phi(target)| over the pixels where `where` is not 0.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`.
        steps: Row of `phi` of each pixel, `(H, W)`.
        where: `(H, W)`.
        phi: Degree of connection by step and gray level, `(11, 256)`.
    """
    rows = np.zeros(target.shape[0])
    _add_differences(prediction, target, steps, np.ascontiguousarray(where), phi, rows)
    return float(rows.sum())


@compiled
def _add_differences(
    prediction: Gray, target: Gray, steps: Gray, where: Gray, phi: Floats, rows: Floats
) -> None:
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            if where[y, x] != 0 and prediction[y, x] != target[y, x]:
                step = steps[y, x]
                difference = phi[step, prediction[y, x]] - phi[step, target[y, x]]
                rows[y] += difference if difference > 0 else -difference
