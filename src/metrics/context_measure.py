"""Context measure C_β (Wang et al., arXiv 2512.07076), β² = 1, α = 6, as in PySODMetrics.

How relevant what was predicted is to the object around it, and how completely the object is covered
by what was predicted around it. What is around a pixel is weighted by a Gaussian with the object's
own covariance, tilt included.
"""

import math
from collections.abc import Iterator
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
        levels: Value of each gray level, `(256,)`.
    """
    true = (target > FOREGROUND_ABOVE).view(np.uint8)
    area = int(np.count_nonzero(true))
    total = float(np.bincount(prediction.ravel(), minlength=256) @ levels)
    if area == 0 or total == 0:
        return 0.0
    kernel = context_kernel(true)
    relevance, covered = 0.0, 0.0
    for part_relevance, part_covered in _of_bands(prediction, true, kernel, levels):
        relevance += part_relevance
        covered += part_covered
    covered += sum(_covered_in_frame(prediction, true, kernel, levels))
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


def _of_bands(
    prediction: Gray, true: Gray, kernel: Curve, levels: Levels
) -> Iterator[tuple[float, float]]:
    """Of each band of rows, the relevance and what is covered of the foreground in the inside.

    The relevance is the sum over the image of a pixel's value times the share of foreground around
    it, where the foreground goes on in its mirror image. Seen from the foreground and its mirror
    image, it is the sum of the values around, which go on in nothing, so that one correlation
    serves both: in the inside, where nothing mirrored is near, it is also the mean around a pixel.
    """
    (height, width), (rows, columns) = true.shape, _reach(kernel)
    mirrored = _mirrored(true, kernel)
    for top in range(0, height + 2 * rows, _BAND):
        band = mirrored[top : top + _BAND]
        found = np.flatnonzero(band.any(axis=0))
        if not found.size:
            continue
        left, right = int(found[0]), int(found[-1]) + 1
        band = band[:, left:right]
        values = _with_nothing_around(
            prediction,
            (top - 2 * rows, top + len(band)),
            (left - 2 * columns, right),
            levels,
        )
        sums = _filtered(values, kernel)
        first, last = max(2 * rows - top, 0), min(height - top, len(band))
        begin, end = max(2 * columns - left, 0), min(width, right) - left
        inside = np.s_[first : max(last, first), begin : max(end, begin)]
        means = sums[inside][band[inside] != 0]
        yield float(sums[band != 0].sum()), float((1 - np.exp(-means)).sum())


def _covered_in_frame(
    prediction: Gray, true: Gray, kernel: Curve, levels: Levels
) -> Iterator[float]:
    """What is covered of the foreground that has mirrored values around it."""
    (height, width), (rows, columns) = true.shape, _reach(kernel)
    mirrored = _mirrored(prediction, kernel)
    first, last = min(rows, height), max(height - rows, min(rows, height))
    begin, end = min(columns, width), max(width - columns, min(columns, width))
    for top, bottom, left, right in (
        (0, first, 0, width),
        (last, height, 0, width),
        (first, last, 0, begin),
        (first, last, end, width),
    ):
        part = true[top:bottom, left:right]
        if part.any():
            around = mirrored[top : bottom + 2 * rows, left : right + 2 * columns]
            means = _filtered(levels[around], kernel)[part != 0]
            yield float((1 - np.exp(-means)).sum())


def _with_nothing_around(
    prediction: Gray, rows: tuple[int, int], columns: tuple[int, int], levels: Levels
) -> Curve:
    """The values in these rows and columns, which may reach over the image: there they are 0."""
    (top, bottom), (left, right), (height, width) = rows, columns, prediction.shape
    inside = np.s_[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    values = np.zeros((bottom - top, right - left))
    y, x = max(-top, 0), max(-left, 0)
    found = levels[prediction[inside]]
    values[y : y + found.shape[0], x : x + found.shape[1]] = found
    return values


def _reach(kernel: Curve) -> tuple[int, int]:
    return kernel.shape[0] // 2, kernel.shape[1] // 2


def _mirrored(gray: Gray, kernel: Curve) -> Gray:
    """A map that goes on in its mirror image as far as the kernel reaches."""
    rows, columns = _reach(kernel)
    framed = cv2.copyMakeBorder(gray, rows, rows, columns, columns, cv2.BORDER_REFLECT_101)
    return np.asarray(framed, np.uint8)


def _filtered(values: Curve, kernel: Curve) -> Curve:
    """The inner part of the correlation, which needs nothing outside."""
    rows, columns = _reach(kernel)
    height, width = values.shape
    filtered = cv2.filter2D(values, cv2.CV_64F, kernel)
    return np.asarray(filtered[rows : height - rows, columns : width - columns])


RECORDS = variants(
    name="context",
    score="context measure C_beta, beta^2 1, alpha 6",
    of_image=lambda pair, raw: context_measure(
        pair.prediction, pair.target, pair.curves(raw).levels
    ),
)
