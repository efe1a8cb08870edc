"""Scores one image with all metrics asked for, sharing what they share."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from src.metrics._joint_histogram import (
    JointHistogram,
    adaptive_levels,
    levels_of,
    prepare,
    threshold_counts,
)
from src.metrics._maps import Counts, Curve, Gray, Levels, Mask, require_trimap
from src.metrics._record import MetricRecord, record
from src.metrics.confusion_matrix import RATES, Confusion
from src.metrics.e_measure import enhanced_alignment
from src.metrics.iou import histogram_outside

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class ImageResult:
    """What is kept of an image once it is scored: a few kilobytes.

    Attributes:
        values: Each metric on this image alone.
        histogram: `(2, 256)` pixels by ground truth and gray level, from which a data set's curves
            are made.
        category: Of the object, where metrics are averaged over categories.
        kept: What else a data set's values are made from, see `Kept`: `{name: numbers}`.
    """

    values: dict[str, float]
    histogram: Counts
    category: int = 0
    kept: Mapping[str, Curve] = field(default_factory=dict)


class ThresholdCurves:
    """The threshold curves of one image, computed once each, lowest threshold first."""

    def __init__(self, histogram: Counts, raw: bool = False) -> None:
        self.histogram: Counts = histogram
        self.levels: Levels = levels_of(histogram, raw)
        self.sides: Counts = histogram.sum(axis=1)
        self._curves: dict[str, Curve] = {}

    @cached_property
    def confusion(self) -> Confusion:
        """At 256 thresholds."""
        return Confusion(threshold_counts(self.histogram, self.levels), self.sides)

    @cached_property
    def binary(self) -> Confusion:
        """At > 0.5."""
        on = self.histogram[:, self.levels > 0.5].sum(axis=1, keepdims=True)
        return Confusion(on, self.sides)

    def curve(self, kind: str) -> Curve:
        """`e`, or a rate of `confusion_matrix.py`, at 256 thresholds."""
        if kind not in self._curves:
            self._curves[kind] = self.compute(kind)
        return self._curves[kind]

    def compute(self, kind: str) -> Curve:
        """As `curve`, which keeps what it has computed."""
        if kind == "e":
            return enhanced_alignment(self.confusion.on, self.histogram)
        return RATES[kind].of(self.confusion)


class ScoredHistogram:
    """What the metrics of an image share that its histogram says.

    Args:
        histogram: `(2, 256)` pixels by ground truth and gray level.
    """

    def __init__(self, histogram: Counts) -> None:
        self.histogram: Counts = histogram
        self._curves: dict[bool, ThresholdCurves] = {}
        self._adaptive: dict[bool, Confusion] = {}

    def curves(self, raw: bool) -> ThresholdCurves:
        """Curves over thresholds of the stretched prediction, or of its values as they are."""
        if raw not in self._curves:
            self._curves[raw] = ThresholdCurves(self.histogram, raw)
        return self._curves[raw]

    def adaptive(self, raw: bool) -> Confusion:
        """At twice the mean value, at most 1: one threshold."""
        if raw not in self._adaptive:
            on = self.histogram[:, self.adaptive_levels(raw)].sum(axis=1, keepdims=True)
            self._adaptive[raw] = Confusion(on, self.curves(raw).sides)
        return self._adaptive[raw]

    def adaptive_levels(self, raw: bool) -> Mask:
        """Which gray levels `(256,)` the adaptive threshold turns on."""
        return adaptive_levels(self.histogram, self.curves(raw).levels)


class ScoredPair(ScoredHistogram):
    """A prediction and its target on their way through the metrics; what these share, once.

    Args:
        joint: The maps, `prediction` and `target`, uint8 `(H, W)`, and their joint histogram.
        void: uint8 `(H, W)`, where > 128 a pixel does not count for click-guided metrics.
        skeletons: Folder that keeps the skeletons of targets.
        trimap: uint8 `(H, W)`: 0 background, 255 foreground, 128 unknown; for some of the metrics
            of alpha mattes.
    """

    def __init__(
        self,
        joint: JointHistogram,
        void: Gray | None = None,
        skeletons: Path | None = None,
        trimap: Gray | None = None,
    ) -> None:
        super().__init__(joint.histogram)
        self.joint, self.void, self.trimap = joint, void, trimap
        self._skeletons = skeletons
        self.prediction: Gray = joint.prediction
        self.target: Gray = joint.target
        self._shared: dict[Hashable, Any] = {}

    def share(self, make: Callable[..., Shared], *arguments: Hashable) -> Shared:
        """`make(pair, *arguments)`, computed once for all metrics that ask for it."""
        key = (make, *arguments)
        if key not in self._shared:
            self._shared[key] = make(self, *arguments)
        return cast(Shared, self._shared[key])

    @cached_property
    def histogram_outside_void(self) -> Counts:
        if self.void is None:
            return self.histogram
        return histogram_outside(self.void, self.prediction, self.target)

    @cached_property
    def skeleton(self) -> Mask | None:
        """The target's, from the folder; None where there is none and the metric makes its own."""
        if self._skeletons is None:
            return None
        from src.metrics._skeleton_cache import SkeletonCache

        return SkeletonCache(self._skeletons)(self.target)


def score_pair(
    prediction: Gray,
    target: Gray,
    metrics: Sequence[str],
    void: Gray | None = None,
    skeletons: Path | None = None,
    category: int = 0,
    trimap: Gray | None = None,
) -> ImageResult:
    """Score one image, and keep what a data set's curves need.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128, but for the metrics of alpha mattes.
        metrics: Names of metrics.
        void: uint8 `(H, W)`; the click-guided metrics leave out where it is > 128.
        skeletons: Folder in which the skeletons of targets are kept.
        category: Of the object.
        trimap: uint8 `(H, W)` of 0, 128 (unknown) and 255, for metrics that need one.

    Raises:
        UserError: a name is not a metric's, or the metric needs a trimap.
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional, their sizes differ, or a trimap is none.
    """
    asked = [record(name) for name in metrics]
    joint = prepare(prediction, target)
    if trimap is not None:
        require_trimap(trimap, target)
    pair = ScoredPair(joint, void, skeletons, trimap)
    values = {one.name: one.score_of(pair) for one in asked}
    return ImageResult(values, pair.histogram, category, _kept(pair, asked))


def _kept(pair: ScoredPair, asked: Sequence[MetricRecord]) -> dict[str, Curve]:
    wanted = {one.kept.name: one.kept for one in asked if one.kept is not None}
    return {name: np.asarray(kept.of_image(pair)) for name, kept in wanted.items()}


def score_histograms(names: Sequence[str], histograms: Sequence[Counts]) -> list[ImageResult]:
    """Score images of which only the histograms are at hand, as results of an evaluation hold them.

    `summarize(score_histograms(names, histograms), names)` is the data set's. A value is that of
    the maps themselves.

    Args:
        names: Metrics whose record has `of_histogram`.
        histograms: Of each image `(2, 256)` pixels: background and foreground of the ground truth,
            gray level of the prediction.

    Raises:
        UserError: a name is not a metric's, or the metric does not follow from histograms.
        ValueError: a histogram is not `(2, 256)` counts of at least one pixel.
    """
    asked = [record(name) for name in names]
    results = []
    for given in histograms:
        counts = np.asarray(given)
        if counts.shape != (2, 256) or counts.dtype.kind not in "iu" or counts.sum() == 0:
            raise ValueError(
                f"a histogram is (2, 256) counts of pixels, not {counts.dtype} {counts.shape}"
            )
        one = ScoredHistogram(counts.astype(np.int64))
        values = {metric.name: metric.score_of_histogram(one) for metric in asked}
        results.append(ImageResult(values, one.histogram))
    return results


# What `finecut evaluate` and `score` score by by default: conf/metrics/all.yaml.
DEFAULT_METRICS = (
    *("mae", "s_measure", "weighted_f", "max_f", "mean_f", "adp_f", "max_f_dis"),
    *("max_e", "mean_e", "adp_e", "hce", "mba", "biou"),
)


def score_image(
    prediction: Gray,
    target: Gray,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    trimap: Gray | None = None,
) -> dict[str, float]:
    """Score one image by the metrics named; `max_f` and its like are those of its own curves.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128, but for the metrics of alpha mattes.
        metrics: Names of metrics; docs/protocols.md lists them.
        trimap: uint8 `(H, W)` of 0, 128 (unknown) and 255, for metrics that need one.

    Raises:
        UserError: a name is not a metric's, or the metric needs a trimap.
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional, their sizes differ, or a trimap is none.
    """
    return score_pair(prediction, target, metrics, trimap=trimap).values
