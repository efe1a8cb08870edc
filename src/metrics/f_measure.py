"""F-measure (Achanta et al., "Frequency-tuned salient region detection", CVPR 2009), β² = 0.3.

Three rules of the field that must not be mixed, over the images of a data set; the first and the
last are among the rates of `confusion_matrix.py`:

- `max_f`, `mean_f`: F of each image at each threshold, averaged over images, then the best or the
  mean threshold. PySODMetrics'.
- `max_f_dis`: precision and recall averaged over images first, then F of the averages, then the
  best threshold. Older papers' (256 thresholds) and IS-Net's training log's (255 bins). It is the
  higher one, by more than methods usually differ.
- `adp_f`: each image at twice its mean value.

Curves are indexed by threshold, lowest first.
"""

import numpy as np

from src.metrics._maps import Counts, Curve
from src.metrics._record import STRETCHED, MetricRecord, variants

BETA_SQUARED = 0.3
DIS_BINS = 255
DIS_EPSILON = 1e-4  # IS-Net's log: added to both denominators, in pixels


def f_of(precision: Curve, recall: Curve, beta_squared: float = BETA_SQUARED) -> Curve:
    """F of each pair; 0 where both are 0."""
    product = (1 + beta_squared) * precision * recall
    return np.asarray(product / np.where(product == 0, 1, beta_squared * precision + recall))


def precision_recall_dis(histogram: Counts) -> tuple[Curve, Curve]:
    """Precision and recall of IS-Net's training log, `(255,)`, in its single precision.

    Min-max normalized values times 255 fall into 255 bins of width 1, the last of which holds
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


_F = "F, beta^2 0.3"
_AVERAGED_FIRST = "PRECISION AND RECALL averaged over images first, then F, then the maximum"
RECORDS = [
    *variants(
        name="max_f_dis",
        score=f"{_F}, at 256 thresholds (>=)",
        reporting=_AVERAGED_FIRST,
        heading="max_f_dis (F of mean P, R)",
        of_histogram=lambda one, raw: one.curves(raw).curve("f").max(),
        of_set=lambda images, raw: f_of(*images.mean_precision_recall(raw)).max(),
    ),
    MetricRecord(
        name="max_f_dis_255",
        prediction=f"{STRETCHED}, in single precision",
        score=f"{_F}, in 255 bins (IS-Net's training log)",
        reporting=_AVERAGED_FIRST,
        heading="max_f_dis_255 (F of mean P, R)",
        of_histogram=lambda one: f_of_dis(*precision_recall_dis(one.histogram)).max(),
        of_set=lambda images, _: f_of_dis(*images.mean_of_histograms(precision_recall_dis)).max(),
    ),
]
