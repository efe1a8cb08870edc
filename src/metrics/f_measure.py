"""F-measure (Achanta et al., "Frequency-tuned salient region detection", CVPR 2009), β² = 0.3.

Three rules of the field that must not be mixed, over the images of a data set:

- `max_f`, `mean_f`: F of each image at each threshold, averaged over images, then the best or the
  mean threshold. PySODMetrics'.
- `max_f_dis`: precision and recall averaged over images first, then F of the averages, then the
  best threshold. Older papers' (256 thresholds) and IS-Net's training log's (255 bins). It is the
  higher one, by more than methods usually differ.
- `adp_f`: each image at twice its mean value.

Curves are indexed by threshold, lowest first.
"""

import numpy as np
import numpy.typing as npt

from src.metrics.joint_histogram import Counts

BETA_SQUARED = 0.3
DIS_BINS = 255
DIS_EPSILON = 1e-4  # IS-Net's log: added to both denominators, in pixels

Curve = npt.NDArray[np.float64]


def f_of(precision: Curve, recall: Curve) -> Curve:
    """F with β² = 0.3 of each pair; 0 where both are 0."""
    product = (1 + BETA_SQUARED) * precision * recall
    return np.asarray(product / np.where(product == 0, 1, BETA_SQUARED * precision + recall))


def precision_recall(on: Counts, area: int) -> tuple[Curve, Curve]:
    """Precision and recall at each threshold; 0 without a positive and for an empty truth.

    Args:
        on: `(2, T)` background and foreground pixels that threshold `t` turns on.
        area: Foreground pixels of the truth.
    """
    hits, positives = on[1], on.sum(axis=0)
    return hits / np.maximum(positives, 1), hits / max(area, 1)


def precision_recall_dis(histogram: Counts) -> tuple[Curve, Curve]:
    """Precision and recall of IS-Net's training log, `(255,)`, in its single precision.

    Min-max normalised values times 255 fall into 255 bins of width 1, the last of which holds
    both 254 and 255. A constant map is 0/0 there and reaches no bin: both curves are 0.
    """
    present = np.flatnonzero(histogram.any(axis=0))
    low, high = present[[0, -1]].astype(np.float32) / np.float32(255)
    if low == high:
        return np.zeros(DIS_BINS), np.zeros(DIS_BINS)
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    values = np.clip((values - low) / (high - low), 0, 1) * np.float32(255)
    bins = np.minimum(values.astype(np.int64), DIS_BINS - 1)
    counts = np.zeros((2, DIS_BINS), np.int64)
    for side in range(2):
        np.add.at(counts[side], bins, histogram[side])
    on = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    positives, area = on.sum(axis=0), histogram[1].sum()
    return on[1] / (positives + DIS_EPSILON), on[1] / (area + DIS_EPSILON)


def f_of_dis(precision: Curve, recall: Curve) -> Curve:
    """F with β² = 0.3 and IS-Net's 1e-8 in the denominator."""
    product = (1 + BETA_SQUARED) * precision * recall
    return np.asarray(product / (BETA_SQUARED * precision + recall + 1e-8))
