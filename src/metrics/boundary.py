"""Metrics of the boundary alone: mean boundary accuracy and boundary IoU."""

from typing import TYPE_CHECKING

from src.metrics._record import BINARY, MetricRecord

if TYPE_CHECKING:
    from src.metrics._image import ScoredPair


def _mba(pair: "ScoredPair") -> float:
    from src.metrics.kernels.boundary import mba  # numba, once a map is scored

    return mba(pair.prediction, pair.target)


def _boundary_iou(pair: "ScoredPair") -> float:
    from src.metrics.kernels.boundary import boundary_iou

    return boundary_iou(pair.prediction, pair.target)


RECORDS = [
    MetricRecord(
        name="mba",
        prediction=BINARY,
        matching="pixels near the ground truth's boundary, 5 radii from 1 to (w + h) / 300",
        score="mean boundary accuracy",
        reporting="mean over images with a boundary in the ground truth",
        may_be_undefined=True,
        of_image=_mba,
    ),
    MetricRecord(
        name="biou",
        prediction=BINARY,
        matching="inner boundaries, 0.02 of the diagonal wide",
        score="boundary IoU",
        of_image=_boundary_iou,
    ),
]
