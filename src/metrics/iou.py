"""Intersection over union of click-guided masks outside void pixels.

The field's click-guided numbers move by whole points between thresholds of 0.5 and 0.8, so that a
threshold is part of a metric's name there (`iou_80`). `max_iou` and its like are among the rates of
`confusion_matrix.py`, where two empty masks give 0; here they give 1.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Counts, Gray, Mask
from src.metrics._record import OUTSIDE_VOID, MetricRecord

if TYPE_CHECKING:
    from src.metrics._image import ScoredPair

PERCENTS = tuple(range(10, 100, 10))


def jaccard(prediction: Mask, target: Mask, void: Mask | None = None) -> float:
    """IoU of two masks `(H, W)` outside `void`, in [0, 1]; 1 where both are empty there."""
    if void is not None:
        prediction, target = prediction[~void], target[~void]
    return _ratio(np.count_nonzero(prediction & target), np.count_nonzero(prediction | target))


def jaccard_at(histogram: Counts, threshold: float) -> float:
    """IoU where the prediction is on above `threshold`, a fraction of 255; as `jaccard`.

    Args:
        histogram: `(2, 256)`: background and foreground, gray level, without void pixels.
        threshold: In [0, 1).
    """
    on = histogram[:, np.arange(256) / 255 > threshold].sum(axis=1)
    return _ratio(int(on[1]), int(on[0] + histogram[1].sum()))


def histogram_outside(void: Gray, prediction: Gray, target: Gray) -> Counts:
    """The joint histogram `(2, 256)` of the pixels where `void`, uint8 `(H, W)`, is not > 128."""
    if void.shape != target.shape:
        raise ValueError(f"void is {void.shape} but the target is {target.shape} (rows, columns)")
    keep = void <= FOREGROUND_ABOVE
    side = (target[keep] > FOREGROUND_ABOVE).astype(np.int64)
    return np.bincount(prediction[keep] + (side << 8), minlength=512).reshape(2, 256)


def iou_at(percent: int) -> "Callable[[ScoredPair], float]":
    """The IoU of a pair outside void, above a percentage of full brightness."""
    return lambda pair: jaccard_at(pair.histogram_outside_void, percent / 100)


def _ratio(intersection: np.integer | int, union: np.integer | int) -> float:
    return float(intersection / union) if union else 1.0


RECORDS = [
    *(
        MetricRecord(
            name=name,
            prediction=f"8 bit, v/255 > {percent / 100:.1f}",
            matching=OUTSIDE_VOID,
            score="IoU, 1 if both are empty",
            of_image=iou_at(percent),
        )
        for name, percent in [("iou", 50), *((f"iou_{percent}", percent) for percent in PERCENTS)]
    ),
]
