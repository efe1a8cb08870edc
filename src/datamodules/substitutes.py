"""Another sample in the place of one that cannot be read, when training is told to go on."""

import logging
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from src.errors import UserError

from .batch import Draw

log = logging.getLogger(__name__)

_ATTEMPTS = 20
_MOST_PROCESSES = 1024


class Substituting(Dataset[dict[str, Any]]):
    """A training set whose unreadable samples are replaced by others, each time with a warning.

    Which one replaces a sample depends on (seed, epoch, item) alone, so that neither the number
    of workers nor a resume changes a batch. For training only: a score needs every image.

    Args:
        dataset: Answers `dataset[Draw]`, with a `UserError` where a sample cannot be read.
        seed: The run's.
    """

    def __init__(self, dataset: Dataset[Any], seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        # Shared by the workers, one place for each, so that they need not take turns.
        self._counts = torch.zeros(_MOST_PROCESSES, dtype=torch.int64).share_memory_()

    @property
    def replaced(self) -> int:
        """How many samples were replaced so far, in all workers."""
        return int(self._counts.sum())

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        try:
            return dict(self.dataset[draw])
        except UserError as error:
            sample = self._substitute(draw, error)
            log.warning("skipped %s; %s takes its place", error, sample["name"])
        worker = get_worker_info()
        self._counts[0 if worker is None else worker.id + 1] += 1
        return sample

    def _substitute(self, draw: Draw, error: UserError) -> dict[str, Any]:
        # Another stream than the sample's own augmentation, which starts from the same numbers.
        rng = np.random.default_rng((self.seed, draw.epoch, draw.item, 2))
        for item in rng.integers(len(self), size=_ATTEMPTS):
            try:
                return dict(self.dataset[Draw(int(item), draw.epoch)])
            except UserError:
                continue
        raise UserError(
            f"{error}; nor could {_ATTEMPTS} others be read in its place. Is the disk still there?"
        )
