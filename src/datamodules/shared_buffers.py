"""Hands batches from worker processes over in shared memory that is used again.

torch's loader makes new shared memory for each batch. The system then has to find and clear every
page of it, and to enter it into the tables of two processes, which takes several times as long as
filling it. Here each worker has a few buffers of its own: it fills one that is free and sends
where the batch lies; the buffer is free again when the process that trains has let go of the last
tensor of the batch.
"""

import itertools
import os
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from src.datamodules.batch import LISTED_KEYS, Batch, collate

# Of a worker. Two batches are made ahead, one is waited for and one is trained on.
_BUFFERS = 4
_ALIGNED = 64  # bytes; a tensor of any type may begin there

_numbers = itertools.count()
# By their key, those of this process: what a worker sends finds its own here.
_known: "weakref.WeakValueDictionary[tuple[int, int], SharedBuffers]" = (
    weakref.WeakValueDictionary()
)


class _Place(NamedTuple):
    """Where a tensor lies in a buffer."""

    start: int
    end: int
    dtype: torch.dtype
    shape: tuple[int, ...]


class SharedBuffers:
    """Joins samples as `collate` does, to the same batch, in a buffer of the worker that does it.

    Where no worker is, or all of its buffers are in use, it is `collate` alone.

    Args:
        workers: Processes that call it, numbered as torch numbers a loader's workers.
    """

    def __init__(self, workers: int) -> None:
        self.key = (os.getpid(), next(_numbers))
        # Of each worker's buffers: 1 from when it is filled until the batch is let go of. A worker
        # only sets it, the process that trains only clears it, so that there is nothing to lock.
        self.in_use = torch.zeros((max(workers, 1), _BUFFERS), dtype=torch.uint8).share_memory_()
        self._made: dict[int, Tensor] = {}  # in a worker: its buffers
        self._received: dict[tuple[int, int], Tensor] = {}  # where batches arrive: all of them
        _known[self.key] = self

    def __call__(self, samples: list[dict[str, Any]]) -> "Batch | _Sent":
        worker = get_worker_info()
        if worker is None:
            return collate(samples)
        free = (self.in_use[worker.id] == 0).nonzero()
        if not len(free):
            return collate(samples)
        return self._filled(samples, worker.id, int(free[0]))

    def __getstate__(self) -> dict[str, Any]:
        # For a worker that is spawned: it makes its own buffers.
        return {**self.__dict__, "_made": {}, "_received": {}}

    def _filled(self, samples: list[dict[str, Any]], worker: int, number: int) -> "_Sent":
        large = [k for k, v in samples[0].items() if _is_stacked(k, v)]
        batch: dict[str, Any] = dict(collate([_without(sample, large) for sample in samples]))
        small = {k: v for k, v in batch.items() if isinstance(v, Tensor)}
        places: dict[str, _Place] = {}
        end = 0
        for key in (*large, *small):
            one = samples[0][key] if key in large else small[key]
            shape = (len(samples), *one.shape) if key in large else tuple(one.shape)
            start = -(-end // _ALIGNED) * _ALIGNED
            end = start + one.element_size() * torch.Size(shape).numel()
            places[key] = _Place(start, end, one.dtype, shape)
        buffer = self._made.get(number)
        is_new = buffer is None or len(buffer) < end
        if is_new:
            buffer = torch.empty(end, dtype=torch.uint8).share_memory_()
            self._made[number] = buffer
        assert buffer is not None
        for key in large:
            torch.stack([sample[key] for sample in samples], out=_view(buffer, places[key]))
        for key, tensor in small.items():
            _view(buffer, places[key]).copy_(tensor)
        others = _without(batch, list(small))
        self.in_use[worker, number] = 1
        return _Sent(self.key, worker, number, buffer if is_new else None, places, others)

    def receive(self, sent: "_Sent") -> Batch:
        """The batch that a worker sent; its buffer is free when none of its tensors is left."""
        of = (sent.worker, sent.number)
        if sent.buffer is not None:
            self._received[of] = sent.buffer
        # A tensor of an array holds the array until its memory is let go of, views included.
        array = self._received[of].numpy()[:]
        finalizer = weakref.finalize(array, _release, self.in_use, *of, os.getpid())
        finalizer.atexit = False
        whole = torch.from_numpy(array)
        tensors = {key: _view(whole, place) for key, place in sent.places.items()}
        return cast(Batch, tensors | dict(sent.others))


class _Sent:
    """A batch in a buffer, on its way; it is a `Batch` as soon as it is unpickled.

    Args:
        key: Of the `SharedBuffers`.
        worker, number: Which buffer.
        buffer: Itself, if it is new; it is kept where it arrives.
        places: Of the tensors in it.
        others: What of the batch is not in it.
    """

    def __init__(
        self,
        key: tuple[int, int],
        worker: int,
        number: int,
        buffer: Tensor | None,
        places: Mapping[str, _Place],
        others: Mapping[str, Any],
    ) -> None:
        self.key, self.worker, self.number = key, worker, number
        self.buffer, self.places, self.others = buffer, places, others

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.key, self.worker, self.number, self.buffer, self.places, self.others)
        return _arrived, parts


def _arrived(key: tuple[int, int], *parts: Any) -> Batch:
    return _known[key].receive(_Sent(key, *parts))


def _release(in_use: Tensor, worker: int, number: int, process: int) -> None:
    # A process that is forked while the batch is there has a copy of it, which frees nothing.
    if os.getpid() == process:
        in_use[worker, number] = 0


def _is_stacked(key: str, value: Any) -> bool:
    return isinstance(value, Tensor) and key not in LISTED_KEYS


def _without(sample: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    return {key: value for key, value in sample.items() if key not in keys}


def _view(buffer: Tensor, place: _Place) -> Tensor:
    return buffer[place.start : place.end].view(place.dtype).view(place.shape)
