"""Fetches the shards that training will read next, while it reads those before."""

import logging
from collections.abc import Sequence
from threading import Thread

import numpy as np
from torch.utils.data import get_worker_info

from src.datamodules.batch import SampleKey
from src.datamodules.pairs import ImageMaskPair
from src.datamodules.samplers import Windows
from src.datamodules.shard_set import ShardSet
from src.datamodules.shard_windows import shard_sets, shards_of
from src.errors import UserError

log = logging.getLogger(__name__)


class FetchAhead:
    """Has a thread in each process of a loader that fetches this window's shards and the next's.

    Which these are follows from the sample that is drawn, so that nobody has to say how far
    training is, nor that it was resumed. The processes of a loader divide the shards among them.
    Nothing depends on it: a shard that is not here when it is read is fetched then.

    Args:
        windows: How the shards are shuffled.
        shards: The set and the number of each of them.
        seed: Of the order.
        count: Items.
    """

    def __init__(
        self,
        windows: Windows,
        shards: Sequence[tuple[ShardSet, int]],
        seed: int,
        count: int,
    ) -> None:
        self.windows, self.shards, self.seed = windows, shards, seed
        self._shard_of = np.zeros(count, np.int64)
        for shard, items in enumerate(windows.items):
            self._shard_of[items] = shard
        self._order: tuple[int, list[np.ndarray], np.ndarray] | None = None
        self._at: tuple[int, int] | None = None
        self._thread: Thread | None = None

    def follow(self, draw: SampleKey) -> None:
        """Note a sample that is drawn; with the first of a window, fetching begins."""
        windows, window_of = self._windows(draw.epoch)
        at = draw.epoch, int(window_of[self._shard_of[draw.item]])
        busy = self._thread is not None and self._thread.is_alive()
        # Not back to a window that a batch of another process is still of.
        if busy or (self._at is not None and at <= self._at):
            return
        self._at = at
        epoch, window = at
        following = windows[window + 1] if window + 1 < len(windows) else self._first(epoch + 1)
        wanted = [*windows[window], *following]
        worker = get_worker_info()
        share = wanted if worker is None else wanted[worker.id :: worker.num_workers]
        self._thread = Thread(target=self._fetch, args=(windows[window], share), daemon=True)
        self._thread.start()

    def _windows(self, epoch: int) -> tuple[list[np.ndarray], np.ndarray]:
        """The windows of an epoch, and of each shard the number of its window."""
        if self._order is None or self._order[0] != epoch:
            windows = self.windows.shards_in_order(self.seed, epoch)
            window_of = np.zeros(len(self.shards), np.int64)
            for number, shards in enumerate(windows):
                window_of[shards] = number
            self._order = epoch, windows, window_of
        return self._order[1:]

    def _first(self, epoch: int) -> np.ndarray:
        return self.windows.shards_in_order(self.seed, epoch)[0]

    def _fetch(self, current: Sequence[int], wanted: Sequence[int]) -> None:
        for number in current:
            shards, shard = self.shards[number]
            shards.mark(shard)
        for number in wanted:
            shards, shard = self.shards[number]
            try:
                shards.fetch(shard)
            except (UserError, OSError) as error:  # whoever reads it says what is wrong
                log.debug("not fetched ahead: %s", error)
                return


def fetch_ahead(pairs: Sequence[ImageMaskPair], window: int | None, seed: int) -> FetchAhead | None:
    """What fetches ahead for training pairs; None where nothing has to be fetched.

    Args:
        pairs: Of the training set.
        window: Shards that are shuffled together; None: all.
        seed: Of the order.
    """
    if not any(shards.is_remote for shards in shard_sets(pairs)):
        return None
    sets, found = shard_sets(pairs), shards_of(pairs)
    items = [np.array(each) for each in found.values()]
    windows = Windows(items, len(items) if window is None else min(window, len(items)))
    return FetchAhead(windows, [(sets[s], n) for s, n in found], seed, len(pairs))
