"""Scores one image with all metrics asked for, sharing what they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from src.metrics._joint_histogram import (
    JointHistogram,
    adaptive_counts,
    levels_of,
    prepare,
    threshold_counts,
)
from src.metrics._maps import Counts, Curve, Gray, Levels, Mask
from src.metrics._record import record
from src.metrics.e_measure import enhanced_alignment
from src.metrics.f_measure import f_of, precision_recall
from src.metrics.iou import histogram_outside, intersection_over_union


@dataclass(frozen=True)
class ImageResult:
    """What is kept of an image once it is scored: a few kilobytes.

    Attributes:
        values: Each metric on this image alone.
        histogram: `(2, 256)` pixels by ground truth and gray level, from which a data set's curves
            are made.
        category: Of the object, where metrics are averaged over categories.
    """

    values: dict[str, float]
    histogram: Counts
    category: int = 0


class ThresholdCurves:
    """The threshold curves of one image, computed once each, lowest threshold first."""

    def __init__(self, histogram: Counts, raw: bool = False) -> None:
        self.histogram: Counts = histogram
        self.levels: Levels = levels_of(histogram, raw)
        self.area: int = int(histogram[1].sum())

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


class ScoredPair:
    """A prediction and its target on their way through the metrics; what these share, once.

    Args:
        joint: The maps, `prediction` and `target`, uint8 `(H, W)`, and their joint histogram.
        void: uint8 `(H, W)`, where > 128 a pixel does not count for click-guided metrics.
        skeletons: Folder that keeps the skeletons of targets.
    """

    def __init__(
        self, joint: JointHistogram, void: Gray | None = None, skeletons: Path | None = None
    ) -> None:
        self.joint, self.void, self._skeletons = joint, void, skeletons
        self.prediction: Gray = joint.prediction
        self.target: Gray = joint.target
        self.histogram: Counts = joint.histogram
        self._curves: dict[bool, ThresholdCurves] = {}
        self._adaptive: dict[bool, Counts] = {}

    def curves(self, raw: bool) -> ThresholdCurves:
        """Curves over thresholds of the stretched prediction, or of its values as they are."""
        if raw not in self._curves:
            self._curves[raw] = ThresholdCurves(self.histogram, raw)
        return self._curves[raw]

    def adaptive(self, raw: bool) -> Counts:
        """Pixels `(2, 1)`, background and foreground, that the adaptive threshold turns on."""
        if raw not in self._adaptive:
            counts = adaptive_counts(self.joint, self.curves(raw).levels)
            self._adaptive[raw] = counts[:, None]
        return self._adaptive[raw]

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
) -> ImageResult:
    """Score one image, and keep what a data set's curves need.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128.
        metrics: Names of metrics.
        void: uint8 `(H, W)`; the click-guided metrics leave out where it is > 128.
        skeletons: Folder in which the skeletons of targets are kept.
        category: Of the object.

    Raises:
        UserError: a name is not a metric's.
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    asked = [record(name) for name in metrics]
    pair = ScoredPair(prepare(prediction, target), void, skeletons)
    return ImageResult({one.name: one.score_of(pair) for one in asked}, pair.histogram, category)


# What `finecut evaluate` and `score` score by by default: conf/metrics/all.yaml.
DEFAULT_METRICS = (
    *("mae", "s_measure", "weighted_f", "max_f", "mean_f", "adp_f", "max_f_dis"),
    *("max_e", "mean_e", "adp_e", "hce", "mba", "biou"),
)


def score_image(
    prediction: Gray, target: Gray, metrics: Sequence[str] = DEFAULT_METRICS
) -> dict[str, float]:
    """Score one image by the metrics named; `max_f` and its like are those of its own curves.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128.
        metrics: Names of metrics; docs/protocols.md lists them.

    Raises:
        UserError: a name is not a metric's.
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    return score_pair(prediction, target, metrics).values
