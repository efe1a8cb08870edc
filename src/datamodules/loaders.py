"""A training loader that a checkpoint can put back to the exact batch it was at."""

import ctypes
import logging
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from src.datamodules.batch import Batch, collate
from src.datamodules.samplers import ShardSampler, TrainBatches, TrainSampler
from src.datamodules.shared_buffers import SharedBuffers
from src.datamodules.wrappers import FallbackDataset
from src.errors import UserError
from src.processes import available_cpus
from src.settings.multiscale import Multiscale

log = logging.getLogger(__name__)

_MOST_WORKERS = 8
# Numbers of settings in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


class ResumableLoader(DataLoader[Any]):
    """Counts the batches it hands out and, restored, starts at the one that follows.

    Lightning saves `state_dict()` with its own progress. Batches that workers have prefetched
    but nobody has received do not count.

    Args:
        dataset: Answers `dataset[SampleKey]` with a sample that depends on nothing else.
        sampler: Decides the order; its epoch is set by Lightning.
        batch_size: Images in a batch of this process.
        num_workers: Processes that read ahead.
        drop_last: Drop the last batch where it is not full.
        multiscale: The sizes of the batches; None: all have the processor's.

    Raises:
        UserError: The set is smaller than one batch.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        sampler: TrainSampler,
        batch_size: int,
        num_workers: int = 0,
        drop_last: bool = True,
        multiscale: Multiscale | None = None,
    ) -> None:
        require_batch(sampler.length, sampler.world, batch_size, drop_last)
        super().__init__(
            dataset,
            batch_sampler=TrainBatches(sampler, batch_size, drop_last, multiscale),
            **_worker_options(num_workers, persistent=True)
            | {"collate_fn": SharedBuffers(num_workers)},
        )
        self.order = sampler
        self.images_per_batch = batch_size
        self._delivered = 0
        self._resumed: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # A generator starts at the first batch asked for: when a run is resumed, Lightning makes
        # the iterator first and only then says which epoch it is.
        first = 0
        if self._resumed is not None and self._resumed["epoch"] == self.order.epoch:
            first = self._resumed["batch"]
        self._resumed = None
        self._delivered = first
        self.order.skip(first * self.images_per_batch)
        for batch in super().__iter__():
            self._delivered += 1
            yield batch
        self._say_replaced()

    def state_dict(self) -> dict[str, int]:
        """The epoch, how many of its batches were handed out, and how it was divided."""
        return {"epoch": self.order.epoch, "batch": self._delivered, **self._division()}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the batch of `state`, if its epoch is the next to be iterated."""
        division = {key: state[key] for key in self._division()}
        if division != self._division() and state["batch"]:
            log.warning(
                "resuming in mid-epoch with another division of the data (%s, now %s): images may"
                " be seen twice or not at all in this epoch",
                division,
                self._division(),
            )
        self._resumed = {"epoch": state["epoch"], "batch": state["batch"]}

    def _say_replaced(self) -> None:
        if isinstance(self.dataset, FallbackDataset) and self.dataset.replaced:
            log.warning(
                "%d unreadable training samples replaced by others since the start (epoch %d)",
                self.dataset.replaced,
                self.order.epoch,
            )

    def _division(self) -> dict[str, int]:
        return {
            "images": self.order.length,
            "batch_size": self.images_per_batch,
            "processes": self.order.world,
        }


def require_batch(images: int, processes: int, batch_size: int, drop_last: bool) -> None:
    """Refuse a training set of which no process would see a batch.

    Args:
        images: In the set.
        processes: That share it.
        batch_size: Images in a batch of each process.
        drop_last: Batches that are not full are dropped.

    Raises:
        UserError: The set is smaller than one batch.
    """
    if drop_last and images // processes < batch_size:
        raise UserError(
            f"{images} training images on {processes} process(es) do not fill one"
            f" batch of {batch_size}; lower model.batch_size or set data.drop_last=false"
        )


def evaluation_loader(
    dataset: Dataset[Any],
    batch_size: int = 1,
    num_workers: int = 0,
    rank: int = 0,
    world: int = 1,
    persistent: bool = False,
) -> DataLoader[Any]:
    """Loads this process's shard of a set, in order, each image once.

    Args:
        dataset: Answers `dataset[int]` with a sample that has `mask_full`.
        batch_size: Images in a batch; masks at original size stay a list.
        num_workers: Processes that read ahead.
        rank: This process.
        world: How many processes share the set.
        persistent: Keep the workers between passes, for a set that is validated on repeatedly.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        # Alone, torch's own sequential order; Lightning takes any other sampler for shuffling.
        sampler=ShardSampler(len(dataset), rank, world) if world > 1 else None,  # type: ignore[arg-type]
        **_worker_options(num_workers, persistent),
    )


def resolve_workers(num_workers: int | None, processes: int = 1) -> int:
    """The number of worker processes: as given, or one per core that this process may use."""
    if num_workers is not None:
        return num_workers
    return min(_MOST_WORKERS, available_cpus() // processes)


def _worker_options(num_workers: int, persistent: bool) -> dict[str, Any]:
    return {
        "num_workers": num_workers,
        "collate_fn": collate,
        "worker_init_fn": start_worker,
        "persistent_workers": persistent and num_workers > 0,
        "pin_memory": torch.cuda.is_available(),
        # Its own generator: starting an epoch must not move the run's random state, or a resumed
        # run would differ from an uninterrupted one.
        "generator": torch.Generator(),
    }


def start_worker(worker: int) -> None:
    """Set a worker process up: one thread, and memory that is kept once it was needed.

    Args:
        worker: Its number, which changes nothing.
    """
    # Workers share the cores among themselves; OpenCV's pool in each would oversubscribe them.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    _keep_memory()


def _keep_memory() -> None:
    # glibc hands arrays of some ten megabytes back to the system as soon as they are freed; the
    # next image then pays for getting its pages again, a third of its decoding time.
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl's library has it not
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
