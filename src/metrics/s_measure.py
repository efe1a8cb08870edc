"""S-measure (Fan et al., "Structure-measure", ICCV 2017, https://arxiv.org/abs/1708.00786).

With the sample variance (N − 1) in the object term, as PySODMetrics; InSPyReNet's copy has the
population variance there, which differs in the sixth digit.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from src.metrics._maps import Counts, Levels
from src.metrics._record import variants

if TYPE_CHECKING:
    from src.metrics._joint_histogram import JointHistogram

ALPHA = 0.5  # weight of the object term against the region term
EPSILON = float(np.spacing(1.0))


def s_measure(pair: "JointHistogram", levels: Levels) -> float:
    """Structural similarity in [0, 1], from the histograms of the four quadrants.

    An empty target gives 1 − mean, a full one the mean. A quadrant without pixels (the target's
    centroid lies in the last row or column) weighs nothing; PySODMetrics gives nan there.

    Args:
        pair: The maps and their histogram.
        levels: Value of each gray level, `(256,)`.
    """
    background, foreground = (int(n) for n in pair.histogram.sum(axis=1))
    if foreground == 0:
        return 1 - float(pair.histogram[0] @ levels) / background
    if background == 0:
        return float(pair.histogram[1] @ levels) / foreground
    score = ALPHA * _objects(pair.histogram, levels) + (1 - ALPHA) * _regions(pair, levels)
    return max(0.0, score)


def _objects(histogram: Counts, levels: Levels) -> float:
    """Brightness and evenness of the prediction on the object, and of its inverse around it."""
    background, foreground = histogram
    share = int(foreground.sum()) / int(histogram.sum())
    return share * _evenness(foreground, levels) + (1 - share) * _evenness(background, 1 - levels)


def _evenness(counts: Counts, values: Levels) -> float:
    size = int(counts.sum())
    mean = float(counts @ values) / size
    deviation = 0.0
    if size > 1:
        deviation = math.sqrt(float(counts @ (values - mean) ** 2) / (size - 1))
    return 2 * mean / (mean**2 + 1 + deviation + EPSILON)


def _regions(pair: "JointHistogram", levels: Levels) -> float:
    """Similarity of each quadrant, weighted by its pixels."""
    score = 0.0
    for lower in range(2):
        for right in range(2):
            counts = pair.quadrants[lower, right]
            size = int(counts.sum())
            if size:
                score += size / pair.target.size * _similarity(pair, levels, lower, right)
    return score


def _similarity(pair: "JointHistogram", levels: Levels, lower: int, right: int) -> float:
    """Mean, contrast and correlation of prediction and target in one quadrant (SSIM)."""
    counts = pair.quadrants[lower, right]
    present = np.flatnonzero(counts.any(axis=0))
    background, foreground = (int(n) for n in counts.sum(axis=1))
    if len(present) == 1 and 0 in (background, foreground):
        return _similarity_of_constants(pair, float(levels[present[0]]), lower, right)
    size = background + foreground
    both = counts.sum(axis=0)
    x, y = float(both @ levels) / size, foreground / size
    divisor = size - 1 + EPSILON
    variance_x = float(both @ (levels - x) ** 2) / divisor
    variance_y = (foreground * (1 - y) ** 2 + background * y**2) / divisor
    sides = counts[1] * (1 - y) - counts[0] * y
    covariance = float(sides @ (levels - x)) / divisor
    product = 4 * x * y * covariance
    sums = (x**2 + y**2) * (variance_x + variance_y)
    if product != 0:
        return product / (sums + EPSILON)
    return 1.0 if sums == 0 else 0.0


def _similarity_of_constants(pair: "JointHistogram", value: float, lower: int, right: int) -> float:
    """1 or 0, as the last bit of numpy's mean decides whether a constant varies from its mean.

    The mean is taken of an array with the strides of PySODMetrics' quadrant: numpy rounds
    differently along whole rows than along parts of them.
    """
    height, width = pair.target.shape
    top, left = pair.split
    rows = height - top if lower else top
    columns = slice(left, None) if right else slice(0, left)
    quadrant = np.full((rows, width), value)[:, columns]
    return 1.0 if quadrant.mean() == value else 0.0


RECORDS = variants(
    name="s_measure",
    score="S, alpha 0.5, sample variance, an empty quadrant weighs 0",
    of_image=lambda pair, raw: s_measure(pair.joint, pair.curves(raw).levels),
)
