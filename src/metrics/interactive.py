"""Measures of click-guided segmentation, void pixels removed (DEXTR, CVPR 2018; IOG, CVPR 2020).

A prediction is thresholded at a stated fraction of 255: the field's numbers move by whole points
between 0.5 and 0.8, so that a threshold is part of a measure's name (`iou_80`).
"""

from collections.abc import Sequence

import numpy as np

from src.metrics.joint_histogram import FOREGROUND_ABOVE, Counts, Gray, Mask

MAX_CLICKS = 20
VOLUME = tuple(n / 10 for n in range(1, 10))  # thresholds whose mean is mAP^r's volume


def jaccard(prediction: Mask, target: Mask, void: Mask | None = None) -> float:
    """IoU of two masks `(H, W)` outside `void`, in [0, 1]; 1 where both are empty there."""
    if void is not None:
        prediction, target = prediction[~void], target[~void]
    return _ratio(np.count_nonzero(prediction & target), np.count_nonzero(prediction | target))


def jaccard_at(histogram: Counts, threshold: float) -> float:
    """IoU where the prediction is on above `threshold`, a fraction of 255; as `jaccard`.

    Args:
        histogram: `(2, 256)`: background and foreground, grey level, without void pixels.
        threshold: In [0, 1).
    """
    on = histogram[:, np.arange(256) / 255 > threshold].sum(axis=1)
    return _ratio(int(on[1]), int(on[0] + histogram[1].sum()))


def histogram_outside(void: Gray, prediction: Gray, target: Gray) -> Counts:
    """The joint histogram `(2, 256)` of the pixels where `void`, uint8 `(H, W)`, is not > 128."""
    if void.shape != target.shape:
        raise ValueError(f"void is {void.shape} but truth is {target.shape} (rows, columns)")
    keep = void <= FOREGROUND_ABOVE
    side = (target[keep] > FOREGROUND_ABOVE).astype(np.int64)
    return np.bincount(prediction[keep] + (side << 8), minlength=512).reshape(2, 256)


def error_percent(
    prediction: Gray, target: Gray, void: Gray | None = None, threshold: float = 0.5
) -> float:
    """Wrong pixels, in percent of those in the truth's tight box, outside `void`.

    GrabCut's error rate: what lies outside the box is not looked at. An empty truth has the whole
    image for a box; a box of void alone has no error.

    Args:
        prediction: uint8 `(H, W)`, on above `threshold` × 255.
        truth: uint8 `(H, W)`; foreground is > 128.
        void: uint8 `(H, W)`; left out where > 128.
        threshold: In [0, 1).
    """
    true = target > FOREGROUND_ABOVE
    box = _box(true)
    wrong = (prediction[box] / 255 > threshold) != true[box]
    if void is not None:
        wrong = wrong[void[box] <= FOREGROUND_ABOVE]
    return 100 * float(wrong.mean()) if wrong.size else 0.0


def mean_recall(ious: Sequence[float], categories: Sequence[int], threshold: float) -> float:
    """mAP^r of given instances: the share with an IoU above `threshold`, averaged over categories.

    Every instance is pointed at, so that precision has no false detections to count and the
    average precision of a category is its recall.
    """
    by_category: dict[int, list[bool]] = {}
    for iou, category in zip(ious, categories, strict=True):
        by_category.setdefault(category, []).append(iou > threshold)
    shares = [float(np.mean(found)) for _, found in sorted(by_category.items())]
    return float(np.mean(shares)) if shares else float("nan")


def mean_recall_volume(ious: Sequence[float], categories: Sequence[int]) -> float:
    """mAP^r_vol: the mean of `mean_recall` over thresholds 0.1, 0.2, … 0.9."""
    return float(np.mean([mean_recall(ious, categories, t) for t in VOLUME]))


def clicks_to_reach(ious: Sequence[float], target: float, cap: int = MAX_CLICKS) -> int:
    """How many clicks it took to reach an IoU of `target`; `cap` if that many did not.

    Args:
        ious: IoU after click 1, 2, 3 …
        target: 0.85 for NoC@85.
        cap: Clicks after which an annotator gives up.
    """
    for clicks, iou in enumerate(ious[:cap], start=1):
        if iou >= target:
            return clicks
    return cap


def _ratio(intersection: np.integer | int, union: np.integer | int) -> float:
    return float(intersection / union) if union else 1.0


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
