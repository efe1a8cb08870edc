"""What a data set's values would be with other images drawn from the same: the bootstrap.

Drawn are images, and each metric is computed anew of those drawn as it is of the set: for metrics
that average curves (`max_f`) the means of single images' values would be other numbers.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from src.metrics._image import ImageResult
from src.metrics._maps import Counts, Curve
from src.metrics._record import record
from src.metrics._summary import ImageSet
from src.metrics.confusion_matrix import Confusion

Draws = npt.NDArray[np.int64]


def draw_images(count: int, resamples: int, seed: int) -> Draws:
    """Indices `(resamples, count)` of images drawn with replacement; a seed gives the same ones."""
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def resample(
    results: Sequence[ImageResult], names: Sequence[str], draws: Draws
) -> dict[str, npt.NDArray[np.float64]]:
    """Each metric of the images of each draw, `(resamples,)`.

    Args:
        results: Of the images of one data set.
        names: Metrics that each image was scored by.
        draws: Indices `(resamples, n)`; methods are paired by using the same.
    """
    images = ImageSet(results)
    stacks: dict[Hashable, npt.NDArray[Any]] = {}
    of_set = {name: made for name in names if (made := record(name).of_set) is not None}
    values = np.empty((len(of_set), len(draws)))
    for i, draw in enumerate(draws if of_set else ()):
        drawn = _DrawnImages(images, draw, stacks)
        values[:, i] = [value(drawn, name) for name, value in of_set.items()]
    found = dict(zip(of_set, values, strict=True))
    return {
        name: found[name] if name in found else _means(np.array(images.values(name)), draws)
        for name in names
    }


def _means(values: npt.NDArray[np.float64], draws: Draws) -> npt.NDArray[np.float64]:
    """Of each draw the mean of the values that are defined; NaN where none is."""
    drawn = values[draws]
    defined = ~np.isnan(drawn)
    counts = defined.sum(axis=1)
    sums = np.where(defined, drawn, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


class _DrawnImages(ImageSet):
    """A draw of a set's images; means are products with what all images have, stacked once."""

    def __init__(
        self, images: ImageSet, draw: Draws, stacks: dict[Hashable, npt.NDArray[Any]]
    ) -> None:
        super().__init__([images.results[i] for i in draw])
        self._images, self._stacks = images, stacks
        self._counts = np.bincount(draw, minlength=len(images.results))

    def mean_curve(self, kind: str, raw: bool = False) -> Curve:
        return self._sum(lambda: self._images.stacked(kind, raw), kind, raw) / len(self.results)

    def mean_kept(self, name: str) -> Curve:
        return self._sum(lambda: np.array(self._images.kept(name)), name) / len(self.results)

    def mean_of_histograms(self, function: Callable[[Counts], Any]) -> Curve:
        def stack() -> npt.NDArray[Any]:
            return np.array([function(one) for one in self._images.histograms])

        return self._sum(stack, function) / len(self.results)

    def all_pixels(self, raw: bool = False) -> Confusion:
        matrices = self._images.binary(raw)
        on = self._sum(lambda: np.array([one.on for one in matrices]), "on", raw)
        return Confusion(on, self._sum(lambda: np.array([one.sides for one in matrices]), "sides"))

    def _sum(self, stack: Callable[[], npt.NDArray[Any]], *key: Hashable) -> npt.NDArray[Any]:
        if key not in self._stacks:
            self._stacks[key] = stack()
        return np.asarray(np.tensordot(self._counts, self._stacks[key], 1))
