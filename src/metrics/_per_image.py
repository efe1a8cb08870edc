"""Base of the metrics that keep one row per image, with the image's index."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

Rows = npt.NDArray[np.int64]


class PerImageMetric(Metric):
    """Keeps a row of numbers per image; a subclass writes rows and reads them back.

    Rows are gathered from all processes, sorted by index and freed of duplicates before `compute`
    sees them: neither a distributed sampler's padding nor the number of processes changes a
    result, not even in its last bit. Processes without an image take part.

    Numbers travel as the 64 bits of an integer: no cast to half precision reaches them, and
    devices without float64 hold them.

    Args:
        state: Name of the metric's state. Equal states make `MetricCollection` believe that two
            metrics are one, so it has to say what is stored.
        width: Numbers in a row.
        expected: Images there are; another count at `compute` is an error. None to not check.
    """

    full_state_update = False
    higher_is_better: bool | None = None

    def __init__(self, state: str, width: int, expected: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.expected = expected
        self._state, self._width = state, width
        self.add_state(state, [], dist_reduce_fx="cat")

    @property
    def update_called(self) -> bool:
        """True: a process may well have no image, and then has nothing to be warned of."""
        return True

    def add_rows(self, index: Sequence[int], rows: Rows) -> None:
        """Keep rows `(n, width)` under the indices of their images."""
        numbered = np.concatenate([np.asarray(index, np.int64)[:, None], rows], axis=1)
        getattr(self, self._state).append(torch.from_numpy(numbered).to(self.device))

    def rows(self) -> tuple[list[int], Rows]:
        """Indices and rows of all images known here, sorted by index, each once.

        Raises RuntimeError where their number is not `expected`.
        """
        kept = getattr(self, self._state)
        parts = [kept] if isinstance(kept, Tensor) else list(kept)
        empty = np.empty((0, self._width + 1), np.int64)
        numbered = np.concatenate([empty, *(part.cpu().numpy() for part in parts)])
        index, first = np.unique(numbered[:, 0], return_index=True)
        if self.expected is not None and len(index) != self.expected:
            raise RuntimeError(
                f"{type(self).__name__} has {len(index)} different images, expected "
                f"{self.expected}: images are missing, or two share an index"
            )
        return [int(i) for i in index], numbered[first, 1:]

    def gathered(self) -> Any:
        """Context in which `rows` are those of all processes."""
        return self.sync_context(
            dist_sync_fn=self.dist_sync_fn,
            should_sync=self._to_sync and not self._is_synced,
            should_unsync=not self._is_synced,
        )

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Join the gathering even without an image: the others wait for this process."""
        if not self._is_synced:
            none = torch.empty((0, self._width + 1), dtype=torch.int64, device=self.device)
            getattr(self, self._state).append(none)
        super().sync(*args, **kwargs)


def number(index: Sequence[int] | Tensor | None, count: int, seen: int) -> list[int]:
    """Indices of a batch; without any, numbers that no other process gives.

    Args:
        index: As the caller has it.
        count: Images in the batch.
        seen: Images this process had before.
    """
    if index is None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        rank = torch.distributed.get_rank() if distributed else 0
        world = torch.distributed.get_world_size() if distributed else 1
        return [(seen + i) * world + rank for i in range(count)]
    numbers = [int(i) for i in index]
    if len(numbers) != count:
        raise ValueError(f"{count} images but {len(numbers)} indices")
    return numbers
