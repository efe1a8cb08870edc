"""Multi-scale IoU of edges (Ahmadzadeh et al., "Multiscale IoU", ICIP 2021), as in PySODMetrics.

The map's and the ground truth's edges are compared on ten grids, from single pixels to cells of
512. The ratio is to the ground truth's cells alone, so that a map full of edges scores 1, and so
does any map of an empty ground truth.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Counts, Curve, Mask
from src.metrics._record import RAW, STATISTICS, Kept, MetricRecord, variants
from src.metrics.confusion_matrix import ADAPTIVE, ADAPTIVE_VERSION, BINARY

if TYPE_CHECKING:
    from src.metrics._image import ScoredPair

THRESHOLDS = 257  # the last of them turns nothing on
SCALES = 10
PYSOD = "_pysod"


def count_cells(pair: "ScoredPair") -> tuple[Counts, Counts]:
    """Cells with an edge of the ground truth, `(10,)`, and shared ones, `(10, 257)`.

    The latter by the gray level from which on the prediction is on; level 256 is on nowhere.
    """
    from src.metrics.kernels.edge_cells import edge_cells  # numba, once a map is scored

    mask = (pair.target > FOREGROUND_ABOVE).view(np.uint8)
    across = cv2.Sobel(mask, cv2.CV_16S, 1, 0, borderType=cv2.BORDER_CONSTANT)
    down = cv2.Sobel(mask, cv2.CV_16S, 0, 1, borderType=cv2.BORDER_CONSTANT)
    edge = ((across != 0) | (down != 0)).astype(np.uint8)
    cells, shared = edge_cells(pair.prediction, edge.reshape(mask.shape))
    return cells, np.concatenate([shared, np.zeros((SCALES, 1), np.int64)], axis=1)


def multi_scale_iou(cells: Counts, shared: Counts) -> Curve:
    """The area under the ratio by scale, `(T,)`, of `(10,)` cells and `(10, T)` shared cells."""
    return _area((shared + 1) / (cells + 1)[:, None])


def multi_scale_iou_pysod(cells: Counts, shared: Counts) -> Curve:
    """The same with PySODMetrics' half precision in the denominator.

    It is rounded above 2048, and from 65 520 cells on it is infinite, so that a scale scores 0.
    """
    with np.errstate(over="ignore"):
        denominators = (cells.astype(np.float16) + np.float16(1)).astype(np.float64)
    return _area((shared + 1) / denominators[:, None])


def _area(ratios: Curve) -> Curve:
    return np.asarray((ratios[1:] + ratios[:-1]).sum(axis=0) / 2 / (SCALES - 1))


OF_CELLS = {"": multi_scale_iou, PYSOD: multi_scale_iou_pysod}


def _by_level(pair: "ScoredPair", kind: str) -> Curve:
    """By the gray level from which on the prediction is on, `(257,)`."""
    return OF_CELLS[kind](*pair.share(count_cells))


def curve(pair: "ScoredPair", kind: str, raw: bool) -> Curve:
    """At 257 thresholds of the value times 255, truncated; the last is above all values."""
    steps = (pair.curves(raw).levels * 255).astype(np.int64)
    first_on = np.searchsorted(steps, np.arange(THRESHOLDS))
    return np.asarray(pair.share(_by_level, kind)[first_on])


def _of_levels(pair: "ScoredPair", kind: str, on: Mask) -> float:
    """Where the gray levels `(256,)` of `on` are on, which are all from some level upwards."""
    return float(pair.share(_by_level, kind)[len(on) - np.count_nonzero(on)])


def _records(kind: str, words: str) -> list[MetricRecord]:
    name = f"msiou{kind}"

    def kept(raw: bool) -> Kept:
        return Kept(name + RAW * raw, THRESHOLDS, lambda pair: curve(pair, kind, raw))

    def of_form(form: str, word: str, statistic: Callable[[Curve], float]) -> list[MetricRecord]:
        return variants(
            name=f"{form}_{name}",
            matching=_GRIDS,
            score=f"{words}, at {THRESHOLDS} thresholds (>=)",
            reporting=f"curves averaged over images, then the {word}",
            of_image=lambda pair, raw: statistic(curve(pair, kind, raw)),
            of_set=lambda images, raw: statistic(images.mean_kept(name + RAW * raw)),
            kept=kept,
        )

    return [
        *(record for statistic in STATISTICS for record in of_form(*statistic)),
        *variants(
            name=f"adp_{name}",
            matching=_GRIDS,
            score=f"{words}, {ADAPTIVE}",
            version=ADAPTIVE_VERSION,
            of_image=lambda pair, raw: _of_levels(pair, kind, pair.adaptive_levels(raw)),
        ),
        *variants(
            name=f"bin_{name}",
            matching=_GRIDS,
            score=f"{words}, {BINARY}",
            of_image=lambda pair, raw: _of_levels(pair, kind, pair.curves(raw).levels > 0.5),
        ),
    ]


_GRIDS = "edges (Sobel derivative not zero) in cells of 1, 2, 4 ... 512 pixels"
_MSIOU = "multi-scale IoU, (shared cells + 1) / (cells of the ground truth + 1)"
RECORDS = [
    *_records("", _MSIOU),
    *_records(PYSOD, f"{_MSIOU}, with PySODMetrics' half precision"),
]
