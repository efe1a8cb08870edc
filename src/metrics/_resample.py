"""What a data set's values would be with other images drawn from the same: the bootstrap.

Drawn are images, and each metric is computed anew of those drawn as it is of the set: for metrics
that average curves (`max_f`) the means of single images' values would be other numbers.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from src.metrics._image import ImageResult
from src.metrics._maps import Curve
from src.metrics._record import record
from src.metrics._summary import ImageSet

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
    stacks: dict[tuple[str, bool], Curve] = {}
    found = {}
    for name in names:
        of_set = record(name).of_set
        if of_set is None:
            found[name] = _means(np.array(images.values(name)), draws)
            continue
        drawn = (_DrawnImages(images, draw, stacks) for draw in draws)
        found[name] = np.array([float(of_set(one, name)) for one in drawn])
    return found


def _means(values: npt.NDArray[np.float64], draws: Draws) -> npt.NDArray[np.float64]:
    """Of each draw the mean of the values that are defined; NaN where none is."""
    drawn = values[draws]
    defined = ~np.isnan(drawn)
    counts = defined.sum(axis=1)
    sums = np.where(defined, drawn, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


class _DrawnImages(ImageSet):
    """A draw of a set's images; means of curves are a product with all curves, stacked once."""

    def __init__(
        self, images: ImageSet, draw: Draws, stacks: dict[tuple[str, bool], Curve]
    ) -> None:
        super().__init__([images.results[i] for i in draw])
        self._images, self._stacks = images, stacks
        self._weights = np.bincount(draw, minlength=len(images.results)) / len(draw)

    def mean_curve(self, kind: str, raw: bool = False) -> Curve:
        key = (kind, raw)
        if key not in self._stacks:
            self._stacks[key] = self._images.stacked(kind, raw)
        return np.asarray(self._weights @ self._stacks[key])
