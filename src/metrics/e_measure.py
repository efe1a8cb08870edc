"""Enhanced-alignment metric (Fan et al., IJCAI 2018, https://arxiv.org/abs/1805.10421).

As PySODMetrics computes it: the sum is divided by N − 1 pixels, so that a perfect map scores a
little over 1.
"""

import numpy as np

from src.metrics._maps import Counts, Curve
from src.metrics._record import curve_variants, variants
from src.metrics.confusion_matrix import ADAPTIVE, ADAPTIVE_VERSION

EPSILON = np.spacing(1.0)


def enhanced_alignment(on: Counts, histogram: Counts) -> Curve:
    """E at each threshold, `(T,)`.

    An empty target counts pixels that are off, a full one pixels that are on.

    Args:
        on: `(2, T)` background and foreground pixels that threshold `t` turns on.
        histogram: `(2, 256)` of the pair.
    """
    background, foreground = (int(n) for n in histogram.sum(axis=1))
    size = background + foreground
    positives = on.sum(axis=0)
    if foreground == 0:
        aligned = (size - positives).astype(np.float64)
    elif background == 0:
        aligned = positives.astype(np.float64)
    else:
        predicted, true = positives / size, foreground / size
        off = np.array([[background], [foreground]]) - on
        aligned = np.zeros(positives.shape)
        for count, value, side in (
            (on[1], 1 - predicted, 1 - true),
            (on[0], 1 - predicted, -true),
            (off[1], -predicted, 1 - true),
            (off[0], -predicted, -true),
        ):
            alignment = 2 * value * side / (value**2 + side**2 + EPSILON)
            aligned += count * (alignment + 1) ** 2 / 4
    return np.asarray(aligned / (size - 1 + EPSILON))


_E = "E, sum / (N - 1)"
RECORDS = [
    *curve_variants(suffix="e", kind="e", score=f"{_E}, at 256 thresholds (>=)"),
    *variants(
        name="adp_e",
        score=f"{_E}, {ADAPTIVE}",
        version=ADAPTIVE_VERSION,
        of_histogram=lambda one, raw: enhanced_alignment(one.adaptive(raw).on, one.histogram)[0],
    ),
]
