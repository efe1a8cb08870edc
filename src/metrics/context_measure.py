"""Context measure C_β (Wang et al., arXiv 2512.07076), β² = 1, α = 6, as in PySODMetrics.

How relevant what was predicted is to the object around it, and how completely the object is covered
by what was predicted around it. What is around a pixel is weighted by a Gaussian with the object's
own covariance, tilt included.
"""

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Curve, Gray, Levels
from src.metrics._record import variants

if TYPE_CHECKING:
    pass

ALPHA = 6.0
BETA_SQUARED = 1.0
EPSILON = float(np.spacing(1))
_BAND = 512  # rows that are filtered together, which bounds the memory


def context_measure(prediction: Gray, target: Gray, levels: Levels) -> float:
    """C_β in [0, 1]; 0 for an empty ground truth or prediction.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128.
        levels: Value of each gray level, `(256,)`, a linear function of those that occur.
    """
    true = (target > FOREGROUND_ABOVE).view(np.uint8)
    area = int(np.count_nonzero(true))
    total = float(np.bincount(prediction.ravel(), minlength=256) @ levels)
    if area == 0 or total == 0:
        return 0.0
    kernel = context_kernel(true)
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    border = cv2.BORDER_REFLECT_101
    framed = [
        np.asarray(cv2.copyMakeBorder(gray, rows, rows, columns, columns, border), np.uint8)
        for gray in (prediction, true)
    ]
    relevance, covered = 0.0, 0.0
    for top in range(0, target.shape[0], _BAND):
        here = slice(top, top + _BAND)
        around = slice(top, top + _BAND + 2 * rows)
        # Columns beyond whose reach there is no foreground, and those that hold some.
        near = _span(framed[1][around])
        if near is not None:
            near = slice(max(near.start - 2 * columns, 0), min(near.stop, target.shape[1]))
            framed_near = slice(near.start, near.stop + 2 * columns)
            values = levels[prediction[here, near]]
            relevance += _relevance(values, framed[1][around, framed_near], kernel)
        inside = _span(true[here])
        if inside is not None:
            framed_inside = slice(inside.start, inside.stop + 2 * columns)
            ours = framed[0][around, framed_inside]
            covered += _covered(ours, true[here, inside], kernel, levels)
    forward = relevance / (total + EPSILON)
    reverse = math.e / (math.e - 1) * covered / (area + EPSILON)
    product = (1 + BETA_SQUARED) * forward * reverse
    return product / (BETA_SQUARED * forward + reverse + EPSILON)


def context_kernel(true: Gray) -> Curve:
    """The weights of what is around a pixel, of sum 1, from a `(H, W)` map of 0 and 1.

    The covariance of the pixels that are 1, scaled to a total variance of α². Where they lie on one
    slanted line, PySODMetrics fails; here the weights lie on the line too.
    """
    spread = cv2.moments(true, binaryImage=True)
    count, x, y, xx, yy, xy = (
        round(spread[name]) for name in ("m00", "m10", "m01", "m20", "m02", "m11")
    )
    if count <= 1:
        variances, covariance, reach = (0.25, 0.25), 0.0, (1, 1)
    else:
        per = count * (count - 1)
        of_rows = (count * yy - y * y) / per or EPSILON
        of_columns = (count * xx - x * x) / per or EPSILON
        scale = ALPHA**2 / (of_rows + of_columns)
        variances = of_rows * scale, of_columns * scale
        covariance = (count * xy - x * y) / per * scale
        reach = (round(3 * math.sqrt(variances[0])), round(3 * math.sqrt(variances[1])))
    product = variances[0] * variances[1]
    # Nearer to a line, no pixel of the kernel beside it has a weight, but rounding has.
    covariance = math.copysign(min(abs(covariance), math.sqrt((1 - 1e-6) * product)), covariance)
    rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    form = variances[1] * rows**2 + variances[0] * columns**2 - 2 * covariance * rows * columns
    kernel = np.exp(-form / (2 * (product - covariance**2)))
    return np.asarray(kernel / kernel.sum())


def _span(mask: Gray) -> slice | None:
    """The columns from the first to the last that hold anything."""
    found = np.flatnonzero(mask.any(axis=0))
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else None


def _relevance(values: Curve, around: Gray, kernel: Curve) -> float:
    """Sum of the values, each times the share of foreground around it."""
    if around.all():
        return float(values.sum())
    return float(np.vdot(values, _filtered(around, kernel)))


def _covered(around: Gray, true: Gray, kernel: Curve, levels: Levels) -> float:
    """Sum over the foreground of 1 - exp(-v), v being the mean value around a pixel."""
    low, high = int(around.min()), int(around.max())
    if low == high:
        return float(np.count_nonzero(true) * (1 - np.exp(-levels[low])))
    slope = (levels[high] - levels[low]) / (high - low)
    means = _filtered(around, kernel)[true != 0]
    return float((1 - np.exp(slope * (low - means) - levels[low])).sum())


def _filtered(around: Gray, kernel: Curve) -> Curve:
    """The inner part of the correlation, which needs nothing outside."""
    rows, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    filtered = cv2.filter2D(around.astype(np.float64), cv2.CV_64F, kernel)
    height, width = around.shape
    return np.asarray(filtered[rows : height - rows, columns : width - columns])


RECORDS = variants(
    name="context",
    score="context measure C_beta, beta^2 1, alpha 6",
    of_image=lambda pair, raw: context_measure(
        pair.prediction, pair.target, pair.curves(raw).levels
    ),
)
