"""Context measure C_β (Wang et al., arXiv 2512.07076), β² = 1, α = 6, as in PySODMetrics.

How relevant what was predicted is to the object around it, and how completely the object is covered
by what was predicted around it. What is around a pixel is weighted by a Gaussian with the object's
own covariance, tilt included.
"""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Counts, Curve, Gray, Levels, Mask
from src.metrics._record import variants

Part = tuple[slice, slice]

ALPHA = 6.0
BETA_SQUARED = 1.0
EPSILON = float(np.spacing(1))
_TILE = 256  # pixels a side that are transformed together


def context_measure(prediction: Gray, target: Gray, levels: Levels, histogram: Counts) -> float:
    """C_β in [0, 1]; 0 for an empty ground truth or prediction.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128.
        levels: Value of each gray level, `(256,)`.
        histogram: `(2, 256)` of the pair.
    """
    area, total = int(histogram[1].sum()), float(histogram.sum(axis=0) @ levels)
    if area == 0 or total == 0:
        return 0.0
    true = (target > FOREGROUND_ABOVE).view(np.uint8)
    weights = _Weights(context_kernel(true))
    # The relevance is the sum over the image of a pixel's value times the share of foreground
    # around it, where the foreground goes on in its mirror image. Seen from the foreground and its
    # mirror image, it is the sum of the mean values around, which go on in nothing. So one mean
    # serves both in the inside, where neither is near, and only the frame has two.
    relevance, covered = 0.0, 0.0
    rows, columns = weights.reach
    (height, width), nothing = true.shape, int(np.flatnonzero(levels == 0)[-1])
    if height > 2 * rows and width > 2 * columns:
        inside = true[rows : height - rows, columns : width - columns]
        relevance, covered = _sums(prediction, inside, levels, weights)
    empty = _framed(prediction, 2 * rows, 2 * columns, cv2.BORDER_CONSTANT, nothing)
    mirrored = _framed(true, rows, columns, cv2.BORDER_REFLECT_101)
    for part, around in _frame(mirrored.shape, (2 * rows, 2 * columns), weights):
        relevance += _sums(empty[around], mirrored[part], levels, weights)[0]
    mirrored = _framed(prediction, rows, columns, cv2.BORDER_REFLECT_101)
    for part, around in _frame(true.shape, (rows, columns), weights):
        covered += _sums(mirrored[around], true[part], levels, weights)[1]
    # Rounding leaves a little more or less than nothing where nothing is.
    forward = max(relevance, 0.0) / (total + EPSILON)
    reverse = math.e / (math.e - 1) * max(covered, 0.0) / (area + EPSILON)
    product = (1 + BETA_SQUARED) * forward * reverse
    return product / (BETA_SQUARED * forward + reverse + EPSILON)


def context_kernel(true: Gray) -> Curve:
    """The weights of what is around a pixel, of sum 1, from a `(H, W)` map of 0 and 1.

    The covariance of the pixels that are 1, scaled to a total variance of α². Where they lie on one
    slanted line, PySODMetrics fails; here the weights lie on the line too.
    """
    spread = cv2.moments(true)  # as of a binary image, which takes five times as long
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


class _Weights:
    """A kernel, and its Fourier transforms by the sizes at which they were needed."""

    def __init__(self, kernel: Curve) -> None:
        self.kernel = kernel
        self.reach = kernel.shape[0] // 2, kernel.shape[1] // 2
        self._spectra: dict[tuple[int, ...], np.ndarray] = {}

    def means(self, values: np.ndarray, where: Mask) -> Curve:
        """The weighted means around the pixels of `where`, in the order of rows.

        Args:
            values: `(H, W)`.
            where: `(h, w)`, smaller by the reach to each side.
        """
        shape = tuple(map(cv2.getOptimalDFTSize, values.shape))
        if shape not in self._spectra:
            self._spectra[shape] = np.asarray(cv2.dft(_padded(self.kernel, shape)))
        spectrum = cv2.dft(_padded(values, shape))  # nonzeroRows= would take four times as long
        product = cv2.mulSpectrums(spectrum, self._spectra[shape], 0, conjB=True)
        inverse = cv2.idft(product, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        means = np.asarray(inverse, np.float64)
        return means[: where.shape[0], : where.shape[1]][where]


def _padded(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values with 0 behind them."""
    if values.shape == shape:
        return values
    padded = np.zeros(shape, values.dtype)
    padded[: values.shape[0], : values.shape[1]] = values
    return padded


def _sums(around: Gray, true: Gray, levels: Levels, weights: _Weights) -> tuple[float, float]:
    """Of the foreground of a part, the sums of the mean values m around and of 1 - exp(-m).

    By Fourier transforms of tiles; where all values around a tile's pixels are equal, they are the
    mean.

    Args:
        around: The prediction, the reach of the weights farther to each side.
        true: 0 and 1, `(H, W)`.
        levels: Value of each gray level, `(256,)`.
        weights: Of what is around.
    """
    relevance, covered = 0.0, 0.0
    (height, width), (rows, columns) = true.shape, weights.reach
    for top in range(0, height, _TILE - 2 * rows):
        for left in range(0, width, _TILE - 2 * columns):
            mask = true[top : top + _TILE - 2 * rows, left : left + _TILE - 2 * columns]
            count = cv2.countNonZero(mask)
            if count == 0:
                continue
            gray = around[
                top : top + mask.shape[0] + 2 * rows, left : left + mask.shape[1] + 2 * columns
            ]
            if gray.min() == gray.max():
                mean = float(levels[gray[0, 0]])
                relevance, covered = relevance + count * mean, covered - count * math.expm1(-mean)
                continue
            means = weights.means(np.asarray(cv2.LUT(gray, levels)), mask.view(np.bool_))
            relevance += float(means.sum())
            covered += count - float(np.exp(-means).sum())
    return relevance, covered


def _frame(
    shape: tuple[int, ...], thickness: tuple[int, int], weights: _Weights
) -> Iterator[tuple[Part, Part]]:
    """The four sides of a frame of this thickness, and in a map framed by the weights' reach what
    is around each.
    """
    (height, width), (rows, columns) = shape, weights.reach
    first, last = min(thickness[0], height), max(height - thickness[0], min(thickness[0], height))
    begin, end = min(thickness[1], width), max(width - thickness[1], min(thickness[1], width))
    for top, bottom, left, right in (
        (0, first, 0, width),
        (last, height, 0, width),
        (first, last, 0, begin),
        (first, last, end, width),
    ):
        if top < bottom and left < right:
            around = np.s_[top : bottom + 2 * rows, left : right + 2 * columns]
            yield np.s_[top:bottom, left:right], around


def _framed(gray: Gray, rows: int, columns: int, border: int, level: int = 0) -> Gray:
    """A map that goes on in its mirror image or in one level."""
    framed = cv2.copyMakeBorder(gray, rows, rows, columns, columns, border, value=level)
    return np.asarray(framed, np.uint8)


RECORDS = variants(
    name="context",
    score="context measure C_beta, beta^2 1, alpha 6",
    of_image=lambda pair, raw: context_measure(
        pair.prediction, pair.target, pair.curves(raw).levels, pair.histogram
    ),
)
