"""Data sets around data sets: another sample for a broken one, and rehearsal of old data."""

import logging
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from src.datamodules.batch import SampleKey
from src.datamodules.shard_index import ShardError
from src.errors import UserError

log = logging.getLogger(__name__)

_ATTEMPTS = 20
_MOST_PROCESSES = 1024


class FallbackDataset(Dataset[dict[str, Any]]):
    """A training set whose unreadable samples are replaced by others, each time with a warning.

    Which one replaces a sample depends on (seed, epoch, item) alone, so that neither the number
    of workers nor a resume changes a batch. For training only: a score needs every image.

    Args:
        dataset: Answers `dataset[SampleKey]`, with a `UserError` where a sample cannot be read.
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

    def __getitem__(self, draw: SampleKey) -> dict[str, Any]:
        try:
            return dict(self.dataset[draw])
        except ShardError:
            raise  # as many samples as a shard holds have no others in their place
        except UserError as error:
            sample = self._substitute(draw, error)
            log.warning("skipped %s; %s takes its place", error, sample["name"])
        worker = get_worker_info()
        self._counts[0 if worker is None else worker.id + 1] += 1
        return sample

    def _substitute(self, draw: SampleKey, error: UserError) -> dict[str, Any]:
        # Another stream than the sample's own augmentation, which starts from the same numbers.
        rng = np.random.default_rng((self.seed, draw.epoch, draw.item, 2))
        for item in rng.integers(len(self), size=_ATTEMPTS):
            try:
                return dict(self.dataset[draw._replace(item=int(item))])
            except ShardError:
                raise
            except UserError:
                continue
        raise UserError(
            f"{error}; nor could {_ATTEMPTS} others be read in its place. Is the disk still there?"
        )


class RehearsalMix(Dataset[dict[str, Any]]):
    """The items of `own`, each once an epoch, then places that `base` fills with other items
    in each epoch: it is gone through in one fixed order, so that all of it is seen alike often.

    A sample is a function of (seed, epoch, item), as of every training set.

    Args:
        own: The new data, answers `own[SampleKey]`.
        base: The old data; names of its images get `base/` in front.
        share: Of an epoch's samples that are from `base`, above 0 and below 1.
        seed: Of the order in which `base` is gone through.

    Raises:
        UserError: The two yield samples that cannot share a batch.
    """

    def __init__(self, own: Dataset[Any], base: Dataset[Any], share: float, seed: int = 0) -> None:
        self.own, self.base, self.share = own, base, share
        self.own_count = len(own)  # type: ignore[arg-type]
        self.places = max(1, round(self.own_count * share / (1 - share)))
        self.order = np.random.default_rng(seed).permutation(len(base))  # type: ignore[arg-type]
        _require_alike(own[SampleKey(0, epoch=0)], base[SampleKey(0, epoch=0)])

    def __len__(self) -> int:
        return self.own_count + self.places

    def __getitem__(self, draw: SampleKey) -> dict[str, Any]:
        place = draw.item - self.own_count
        if place < 0:
            return self.own[draw]
        item = int(self.order[(draw.epoch * self.places + place) % len(self.order)])
        sample = self.base[draw._replace(item=item)]
        return {**sample, "index": draw.item, "name": f"base/{sample['name']}"}

    def weights(self, own: np.ndarray | None) -> np.ndarray | None:
        """Chances of all items, given those of the own ones; the share stays as it is."""
        if own is None:
            return None
        of_base = np.full(self.places, self.share / self.places)
        return np.concatenate([own / own.sum() * (1 - self.share), of_base])


def _require_alike(own: dict[str, Any], base: dict[str, Any]) -> None:
    if set(own) != set(base):
        raise UserError(
            f"the base data yields {', '.join(base)} and the new data {', '.join(own)}: images with"
            " masks and objects with clicks cannot be mixed; choose another data@base=…"
        )
    for key in ("image", "prompt"):
        if key in own and own[key].shape != base[key].shape:
            raise UserError(
                f"the base data's {key} is {tuple(base[key].shape)} and the new data's"
                f" {tuple(own[key].shape)}: both must be made for one model"
            )
