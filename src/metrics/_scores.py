"""All metrics of a data set in one torchmetrics `Metric`."""

from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from src.errors import UserError
from src.metrics._image import ImageResult, score_pair
from src.metrics._maps import Curve, Gray
from src.metrics._per_image import PerImageMetric, Rows, number
from src.metrics._pool import discard_pool, pool
from src.metrics._record import record
from src.metrics._summary import summarize, undefined

Map = Tensor | np.ndarray
WAITING_PER_WORKER = 3  # full-size maps are held until scored


class SegmentationMetrics(PerImageMetric):
    """Scores maps by every metric named; what they share is done once per image.

    Args:
        names: Metrics; docs/protocols.md lists them.
        workers: Processes that score while the network goes on; 0 scores in `update`.
        skeleton_cache: Folder for the skeletons of targets, which HCE needs; None keeps none.
        expected: Images there are; another count at `compute` is an error. None to not check.
    """

    def __init__(
        self,
        names: Sequence[str],
        workers: int = 0,
        skeleton_cache: str | Path | None = None,
        expected: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.names = list(dict.fromkeys(names))
        kept = [record(name).kept for name in self.names]
        self._kept = {one.name: one.size for one in kept if one is not None}
        width = len(self.names) + sum(self._kept.values()) + 513
        super().__init__("rows_" + "_".join(self.names), width, expected, **kwargs)
        self.workers = workers
        self.skeleton_cache = None if skeleton_cache is None else Path(skeleton_cache)
        self._seen = 0
        self._waiting: list[tuple[int, Future[ImageResult]]] = []

    def update(
        self,
        predictions: Sequence[Map] | Tensor,
        targets: Sequence[Map] | Tensor,
        index: Sequence[int] | Tensor | None = None,
        voids: Sequence[Map] | Tensor | None = None,
        categories: Sequence[int] | Tensor | None = None,
        trimaps: Sequence[Map] | Tensor | None = None,
    ) -> None:
        """Add images.

        Args:
            predictions: uint8 maps `(h, w)`, or a tensor `(B, 1, H, W)`.
            targets: uint8 maps of the same sizes; foreground is > 128.
            index: Of each image in its data set: an image given twice counts once. None numbers
                them as they come.
            voids: uint8 maps; the click-guided metrics leave out where they are > 128.
            categories: Of each image's object, for metrics averaged over categories.
            trimaps: uint8 maps of 0, 128 (unknown) and 255, for metrics that need them.
        """
        numbers = number(index, len(predictions), self._seen)
        self._seen += len(numbers)
        for place, (image, prediction, target) in enumerate(
            zip(numbers, predictions, targets, strict=True)
        ):
            void = None if voids is None else as_map(voids[place])
            category = 0 if categories is None else int(categories[place])
            trimap = None if trimaps is None else as_map(trimaps[place])
            self._score(image, as_map(prediction), as_map(target), void, category, trimap)

    def compute(self) -> dict[str, float]:
        """Each metric over all images of all processes."""
        return summarize(list(self._all().values()), self.names)

    def image_results(self) -> dict[int, ImageResult]:
        """The score of each image of all processes, sorted by its index.

        Every process has to call it. All else follows from it, so that a test gathers the images
        and unpacks them once.
        """
        self._collect()
        with self.gathered():
            return self._all()

    def per_image(self) -> list[dict[str, float]]:
        """Each image's own values with its `index`, sorted by it, of all processes.

        Every process has to call it.
        """
        return [{"index": i, **one.values} for i, one in self.image_results().items()]

    def undefined(self) -> dict[str, int]:
        """Images that a metric leaves out because it is undefined there, `{metric: count}`.

        Every process has to call it.
        """
        return undefined(list(self.image_results().values()), self.names)

    def sync(self, *args: Any, **kwargs: Any) -> None:
        self._collect()
        super().sync(*args, **kwargs)

    def reset(self) -> None:
        for _, future in self._waiting:
            future.cancel()
        self._waiting, self._seen = [], 0
        super().reset()

    def __getstate__(self) -> dict[str, Any]:
        self._collect()
        return super().__getstate__()

    def _score(
        self,
        image: int,
        prediction: Gray,
        target: Gray,
        void: Gray | None,
        category: int,
        trimap: Gray | None,
    ) -> None:
        job = (prediction, target, self.names, void, self.skeleton_cache, category, trimap)
        if self.workers == 0:
            self._keep([(image, score_pair(*job))])
            return
        try:
            self._waiting.append((image, pool(self.workers).submit(score_pair, *job)))
        except BrokenProcessPool as error:
            raise self._killed(image) from error
        self._collect(all_but=WAITING_PER_WORKER * self.workers)

    def _collect(self, all_but: int = 0) -> None:
        """Wait for the oldest images until at most `all_but` are in the workers' hands."""
        finished: list[tuple[int, ImageResult]] = []
        while len(self._waiting) > all_but:
            image, future = self._waiting.pop(0)
            try:
                finished.append((image, future.result()))
            except BrokenProcessPool as error:
                raise self._killed(image) from error
        self._keep(finished)

    def _killed(self, image: int) -> UserError:
        discard_pool(self.workers)
        return UserError(
            f"a process that scores images was killed, at image {image} or near it: most often "
            "for want of memory, of which fewer metrics.workers need less"
        )

    def _keep(self, scores: Sequence[tuple[int, ImageResult]]) -> None:
        if scores:
            rows = np.stack([self._row(one) for _, one in scores])
            self.add_rows([image for image, _ in scores], rows)

    def _row(self, score: ImageResult) -> Rows:
        values = np.array([score.values[name] for name in self.names], np.float64)
        numbers = np.concatenate([values, *(score.kept[name] for name in self._kept)])
        return np.concatenate([numbers.view(np.int64), [score.category], score.histogram.ravel()])

    def _all(self) -> dict[int, ImageResult]:
        self._collect()
        index, rows = self.rows()
        numbers = np.ascontiguousarray(rows[:, :-513]).view(np.float64)
        return dict(zip(index, map(self._result, numbers, rows), strict=True))

    def _result(self, numbers: Curve, row: Rows) -> ImageResult:
        values = dict(zip(self.names, map(float, numbers), strict=False))
        kept, first = {}, len(self.names)
        for name, size in self._kept.items():
            kept[name] = numbers[first : first + size]
            first += size
        return ImageResult(values, row[-512:].reshape(2, 256), int(row[-513]), kept)


def as_map(given: Map) -> Gray:
    """A uint8 map `(h, w)` of a tensor or array, `(1, h, w)` allowed. Others are refused later."""
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.dtype.kind == "f":
        raise TypeError(
            f"maps are scored in 8 bit, not as {array.dtype}: pass (p * 255).round() as uint8"
        )
    return array
