"""Metrics of foreground maps: pure functions on uint8 maps, and torchmetrics around them.

Each metric is one file with its records; what is used from outside is named here. Importing this
package imports neither torch nor numba; that happens when what needs them is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what docs/reference.md shows, which is read off the source
    from src.metrics._click_curves import ClickCurves as ClickCurves
    from src.metrics._click_scores import ClickScores as ClickScores
    from src.metrics._click_scores import CorrectionScores as CorrectionScores
    from src.metrics._image import score_histograms as score_histograms
    from src.metrics._image import score_image as score_image
    from src.metrics._record import MetricRecord as MetricRecord
    from src.metrics._scores import SegmentationMetrics as SegmentationMetrics

_HOME = {
    "Kept": "_record",
    "MetricRecord": "_record",
    "describe": "_record",
    "higher_is_better": "_record",
    "is_same_protocol": "_record",
    "record": "_record",
    "records": "_record",
    "needing_trimap": "_record",
    "require_no_trimap": "_record",
    "require_same": "_record",
    "FOREGROUND_ABOVE": "_maps",
    "TRIMAP_LEVELS": "_maps",
    "Curve": "_maps",
    "Gray": "_maps",
    "DEFAULT_METRICS": "_image",
    "ImageResult": "_image",
    "score_histograms": "_image",
    "score_image": "_image",
    "score_pair": "_image",
    "SkeletonCache": "_skeleton_cache",
    "ImageSet": "_summary",
    "draw_images": "_resample",
    "resample": "_resample",
    "degenerate": "_summary",
    "mean_curves": "_summary",
    "summarize": "_summary",
    "undefined": "_summary",
    "pool": "_pool",
    "discard_pool": "_pool",
    "compile_kernels": "_pool",
    "use_foreign": "_foreign",
    "jaccard": "iou",
    "CLICKS_FILE": "_click_curves",
    "ClickCurves": "_click_curves",
    "ClickScores": "_click_scores",
    "CorrectionScores": "_click_scores",
    "describe_clicks": "_click_curves",
    "STARTS": "number_of_clicks",
    "Start": "number_of_clicks",
    "read_click_curves": "_click_curves",
    "write_click_curves": "_click_curves",
    "PerImageMetric": "_per_image",
    "SegmentationMetrics": "_scores",
    **dict.fromkeys(
        (
            *("SegmentationMetric", "MAE", "SMeasure", "FMeasure", "EMeasure", "WeightedF"),
            *("MaxFDis", "HCE", "MBA", "BIoU", "IoU", "ErrorPercent", "MeanRecall"),
            "NumberOfClicks",
        ),
        "_single",
    ),
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
