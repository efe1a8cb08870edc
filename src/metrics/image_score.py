"""Scores one image with all measures asked for, sharing what they share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.errors import UserError
from src.metrics import interactive
from src.metrics.e_measure import enhanced_alignment
from src.metrics.f_measure import f_of, f_of_dis, precision_recall, precision_recall_dis
from src.metrics.iou import intersection_over_union
from src.metrics.joint_histogram import (
    Counts,
    Gray,
    JointHistogram,
    Levels,
    Mask,
    adaptive_counts,
    levels_of,
    prepare,
    threshold_counts,
)
from src.metrics.mae import mean_absolute_error
from src.metrics.protocol import INTERACTIVE_THRESHOLDS, RAW, protocol
from src.metrics.s_measure import s_measure

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ImageResult:
    """What is kept of an image once it is scored: a few kilobytes.

    Attributes:
        values: Each measure on this image alone.
        histogram: `(2, 256)` pixels by truth and grey level, from which a data set's curves are
            made.
        category: Of the object, where measures are averaged over categories.
    """

    values: dict[str, float]
    histogram: Counts
    category: int = 0


class Curves:
    """The threshold curves of one image, computed once each, lowest threshold first."""

    def __init__(self, histogram: Counts, raw: bool = False) -> None:
        self.histogram = histogram
        self.levels: Levels = levels_of(histogram, raw)
        self.area = int(histogram[1].sum())

    @cached_property
    def on(self) -> Counts:
        return threshold_counts(self.histogram, self.levels)

    @cached_property
    def precision_recall(self) -> tuple[Curve, Curve]:
        return precision_recall(self.on, self.area)

    @cached_property
    def f(self) -> Curve:
        return f_of(*self.precision_recall)

    @cached_property
    def e(self) -> Curve:
        return enhanced_alignment(self.on, self.histogram)

    @cached_property
    def iou(self) -> Curve:
        return intersection_over_union(self.on, self.area)


@dataclass
class _Image:
    """A pair on its way through the measures."""

    pair: JointHistogram
    void: Gray | None
    skeletons: Path | None  # folder that keeps them

    def __post_init__(self) -> None:
        self._curves: dict[bool, Curves] = {}
        self._adaptive: dict[bool, Counts] = {}

    def curves(self, raw: bool) -> Curves:
        if raw not in self._curves:
            self._curves[raw] = Curves(self.pair.histogram, raw)
        return self._curves[raw]

    def adaptive(self, raw: bool) -> Counts:
        """Pixels `(2, 1)` that the adaptive threshold turns on."""
        if raw not in self._adaptive:
            counts = adaptive_counts(self.pair, self.curves(raw).levels)
            self._adaptive[raw] = counts[:, None]
        return self._adaptive[raw]

    @cached_property
    def outside_void(self) -> Counts:
        if self.void is None:
            return self.pair.histogram
        return interactive.histogram_outside(self.void, self.pair.prediction, self.pair.target)

    @cached_property
    def skeleton(self) -> Mask | None:
        """The truth's, from the folder; None where there is none and the measure makes its own."""
        if self.skeletons is None:
            return None
        from src.metrics.skeleton_cache import SkeletonCache

        return SkeletonCache(self.skeletons)(self.pair.target)


def score_pair(
    prediction: Gray,
    target: Gray,
    metrics: Sequence[str],
    void: Gray | None = None,
    skeletons: Path | None = None,
    category: int = 0,
) -> ImageResult:
    """Score one image, and keep what a data set's curves need.

    Args:
        prediction: uint8 `(H, W)`.
        truth: uint8 `(H, W)`; foreground is > 128.
        metrics: Names of measures.
        void: uint8 `(H, W)`; the interactive measures leave out where it is > 128.
        skeletons: Folder in which the skeletons of truths are kept.
        category: Of the object.

    Raises:
        UserError: a name is not a measure's.
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    for name in metrics:
        protocol(name)
    image = _Image(prepare(prediction, target), void, skeletons)
    values = {name: float(_measure(name)(image)) for name in metrics}
    return ImageResult(values, image.pair.histogram, category)


def score_image(prediction: Gray, target: Gray, metrics: Sequence[str]) -> dict[str, float]:
    """Score one image by the measures named; `max_f` and its like are those of its own curves.

    Args:
        prediction: uint8 `(H, W)`.
        truth: uint8 `(H, W)`; foreground is > 128.
        metrics: Names of measures, see `src.metrics.protocol.PROTOCOLS`.

    Raises:
        UserError: a name is not a measure's.
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    return score_pair(prediction, target, metrics).values


def _measure(name: str) -> Callable[[_Image], float]:
    base, raw = name.removesuffix(RAW), name.endswith(RAW)
    if base in _OF_VALUES:
        return lambda image: _OF_VALUES[base](image, raw)
    if name not in _OF_PIXELS:
        raise UserError(f"{name} is not of one map but of clicks: use src.metrics.NumberOfClicks")
    return _OF_PIXELS[name]


def _adp_f(image: _Image, raw: bool) -> float:
    return f_of(*precision_recall(image.adaptive(raw), image.curves(raw).area))[0]


def _weighted_f(image: _Image, raw: bool) -> float:
    from src.metrics.weighted_f import weighted_f

    return weighted_f(image.pair.prediction, image.pair.target, levels=image.curves(raw).levels)


def _hce(image: _Image) -> float:
    from src.metrics.hce import human_correction_efforts

    pair = image.pair
    return sum(human_correction_efforts(pair.prediction, pair.target, image.skeleton))


def _hce_pysod(image: _Image) -> float:
    from src.metrics.hce import human_correction_efforts_pysod

    pair = image.pair
    return sum(human_correction_efforts_pysod(pair.prediction, pair.target, image.skeleton))


def _mba(image: _Image) -> float:
    from src.metrics.boundary import mba

    return mba(image.pair.prediction, image.pair.target)


def _biou(image: _Image) -> float:
    from src.metrics.boundary import boundary_iou

    return boundary_iou(image.pair.prediction, image.pair.target)


def _error_percent(image: _Image) -> float:
    return interactive.error_percent(image.pair.prediction, image.pair.target, image.void)


def _iou_at(percent: int) -> Callable[[_Image], float]:
    return lambda image: interactive.jaccard_at(image.outside_void, percent / 100)


_OF_VALUES: dict[str, Callable[[_Image, bool], float]] = {
    "mae": lambda image, raw: mean_absolute_error(image.pair.histogram, image.curves(raw).levels),
    "s_measure": lambda image, raw: s_measure(image.pair, image.curves(raw).levels),
    "weighted_f": _weighted_f,
    "max_f": lambda image, raw: image.curves(raw).f.max(),
    "mean_f": lambda image, raw: image.curves(raw).f.mean(),
    "adp_f": _adp_f,
    "max_f_dis": lambda image, raw: image.curves(raw).f.max(),
    "max_e": lambda image, raw: image.curves(raw).e.max(),
    "mean_e": lambda image, raw: image.curves(raw).e.mean(),
    "adp_e": lambda image, raw: enhanced_alignment(image.adaptive(raw), image.pair.histogram)[0],
    "max_iou": lambda image, raw: image.curves(raw).iou.max(),
    "mean_iou": lambda image, raw: image.curves(raw).iou.mean(),
    "adp_iou": lambda image, raw: intersection_over_union(
        image.adaptive(raw), image.curves(raw).area
    )[0],
}
_OF_PIXELS: dict[str, Callable[[_Image], float]] = {
    "max_f_dis_255": lambda image: f_of_dis(*precision_recall_dis(image.pair.histogram)).max(),
    "hce": _hce,
    "hce_pysod": _hce_pysod,
    "mba": _mba,
    "biou": _biou,
    "iou": _iou_at(50),
    "error_percent": _error_percent,
    **{f"iou_{percent}": _iou_at(percent) for percent in INTERACTIVE_THRESHOLDS},
    # Of one image these are its IoU; thresholds and categories come with the data set.
    "mapr_50": _iou_at(50),
    "mapr_70": _iou_at(50),
    "mapr_vol": _iou_at(50),
}
