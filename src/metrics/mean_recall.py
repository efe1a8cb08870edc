"""mAP^r of given instances (Hariharan et al., ECCV 2014), as DEXTR and IOG report it."""

from collections.abc import Sequence

import numpy as np

from src.metrics._record import OUTSIDE_VOID, MetricRecord
from src.metrics.iou import iou_at

VOLUME = tuple(n / 10 for n in range(1, 10))  # thresholds whose mean is mAP^r's volume


def mean_recall(ious: Sequence[float], categories: Sequence[int], threshold: float) -> float:
    """The share of instances with an IoU above `threshold`, averaged over categories.

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


# Of one image each is its IoU; thresholds and categories come with the data set.
RECORDS = [
    MetricRecord(
        name=name,
        prediction="8 bit, v/255 > 0.5",
        matching=f"one instance with one mask; {OUTSIDE_VOID}",
        score=score,
        reporting="share of instances, mean over categories",
        of_image=iou_at(50),
        of_set=of_set,
    )
    for name, score, of_set in (
        (
            "mapr_50",
            "IoU > 0.5",
            lambda images, name: mean_recall(images.values(name), images.categories, 0.5),
        ),
        (
            "mapr_70",
            "IoU > 0.7",
            lambda images, name: mean_recall(images.values(name), images.categories, 0.7),
        ),
        (
            "mapr_vol",
            "IoU > t, mean over t = 0.1, 0.2, ... 0.9",
            lambda images, name: mean_recall_volume(images.values(name), images.categories),
        ),
    )
]
