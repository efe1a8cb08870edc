"""Metrics of foreground maps: pure functions on uint8 maps, and torchmetrics around them.

Importing this package imports no torch; the metric classes do so when they are asked for.
"""

from importlib import import_module
from typing import Any

from src.metrics.image_score import score_image

__all__ = ["score_image"]

_METRICS = {
    "SegmentationMetrics": "scores",
    "PerImageMetric": "per_image",
    **dict.fromkeys(
        (
            "MAE",
            "SMeasure",
            "FMeasure",
            "EMeasure",
            "WeightedF",
            "MaxFDis",
            "HCE",
            "MBA",
            "BIoU",
            "IoU",
            "ErrorPercent",
            "MeanRecall",
            "NumberOfClicks",
        ),
        "measures",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _METRICS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_METRICS[name]}", __name__), name)
