"""From images to a data set: which metrics average values, and which average curves first."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from src.errors import UserError
from src.metrics._image import ImageResult, ThresholdCurves
from src.metrics._maps import Counts, Curve
from src.metrics._record import record
from src.metrics.confusion_matrix import Confusion


class ImageSet:
    """The scored images of a data set, with the averages that several metrics share.

    Sums run in the order of the images: the same order gives the same bits. Of each image its
    counts by threshold are kept, six kilobytes, and no curve: of thirty metrics those would be
    ten times as much.
    """

    def __init__(self, results: Sequence[ImageResult]) -> None:
        self.results = results
        self._curves: dict[bool, list[ThresholdCurves]] = {}
        self._means: dict[tuple[str, bool], Curve] = {}

    def values(self, name: str) -> list[float]:
        """The metric of each image."""
        return [one.values[name] for one in self.results]

    @cached_property
    def categories(self) -> list[int]:
        return [one.category for one in self.results]

    @cached_property
    def histograms(self) -> list[Counts]:
        return [one.histogram for one in self.results]

    def kept(self, name: str) -> list[Curve]:
        """What each image keeps under a name, see `Kept`.

        Raises:
            UserError: It is not there: the images come from results that do not store it.
        """
        if any(name not in one.kept for one in self.results):
            raise UserError(
                f"a metric over the set needs the {name} of each image, which stored results do "
                "not hold: score the maps again"
            )
        return [one.kept[name] for one in self.results]

    def mean_kept(self, name: str) -> Curve:
        """The same averaged over images."""
        return _mean(self.kept(name))

    def mean_curve(self, kind: str, raw: bool = False) -> Curve:
        """A curve over 256 thresholds, averaged over images."""
        if (kind, raw) not in self._means:
            of_images = self._of_images(raw)
            total = of_images[0].compute(kind).astype(np.float64)
            for one in of_images[1:]:
                total += one.compute(kind)
            self._means[kind, raw] = total / len(of_images)
        return self._means[kind, raw]

    def stacked(self, kind: str, raw: bool = False) -> Curve:
        """The same of each image, `(n, 256)`."""
        return np.array([one.compute(kind) for one in self._of_images(raw)])

    def mean_precision_recall(self, raw: bool = False) -> tuple[Curve, Curve]:
        """Precision and recall at 256 thresholds, each averaged over images."""
        return self.mean_curve("precision", raw), self.mean_curve("recall", raw)

    def mean_of_histograms(self, function: Callable[[Counts], Any]) -> Curve:
        """What a function makes of each image's histogram, averaged over images."""
        return _mean([np.asarray(function(one)) for one in self.histograms])

    def binary(self, raw: bool = False) -> list[Confusion]:
        """The pixels of each image, at > 0.5."""
        return [one.binary for one in self._of_images(raw)]

    def all_pixels(self, raw: bool = False) -> Confusion:
        """The pixels of all images together, at > 0.5."""
        matrices = self.binary(raw)
        on, sides = sum(one.on for one in matrices), sum(one.sides for one in matrices)
        return Confusion(np.asarray(on), np.asarray(sides))

    def _of_images(self, raw: bool) -> list[ThresholdCurves]:
        if raw not in self._curves:
            self._curves[raw] = [ThresholdCurves(one, raw) for one in self.histograms]
        return self._curves[raw]


def summarize(scores: Sequence[ImageResult], names: Sequence[str]) -> dict[str, float]:
    """The value of each metric over a data set.

    Images on which a metric is undefined (`mba` without a boundary) are left out of it;
    `undefined` counts them.

    Args:
        scores: One per image.
        names: Metrics that each image was scored by.
    """
    images = ImageSet(scores)
    return {name: _value(name, images) for name in names}


def mean_curves(scores: Sequence[ImageResult]) -> dict[str, Curve]:
    """`precision`, `recall` and `f` `(256,)`, each averaged over images; lowest threshold first."""
    images = ImageSet(scores)
    precision, recall = images.mean_precision_recall()
    return {"precision": precision, "recall": recall, "f": images.mean_curve("f")}


def undefined(scores: Sequence[ImageResult], names: Sequence[str]) -> dict[str, int]:
    """Images left out of a metric because it is undefined there, where there are any."""
    counts = {name: sum(np.isnan(one.values[name]) for one in scores) for name in names}
    return {name: int(count) for name, count in counts.items() if count}


def degenerate(scores: Sequence[ImageResult]) -> dict[str, int]:
    """How many images have an empty target, a full target, or a prediction of one gray level."""
    sides = [one.histogram.sum(axis=1) for one in scores]
    levels = [np.count_nonzero(one.histogram.any(axis=0)) for one in scores]
    return {
        "empty target": sum(int(foreground == 0) for _, foreground in sides),
        "full target": sum(int(background == 0) for background, _ in sides),
        "constant prediction": sum(int(count == 1) for count in levels),
    }


def _value(name: str, images: ImageSet) -> float:
    if not images.results:
        return float("nan")
    of_set = record(name).of_set
    if of_set is not None:
        return float(of_set(images, name))
    values = np.array(images.values(name))
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _mean(curves: Sequence[Curve]) -> Curve:
    return np.asarray(np.mean(curves, axis=0))
