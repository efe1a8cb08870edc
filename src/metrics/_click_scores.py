"""How the IoU rises with clicks, gathered from all processes: by the field's user, and by IOG's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from src.metrics._click_curves import ClickCurves
from src.metrics._per_image import PerImageMetric
from src.metrics.number_of_clicks import JITTER_GAMMA, STARTS, Start


class ClickScores(PerImageMetric):
    """NoC and its like, of objects whose IoU after each click is given.

    Args:
        start: How objects begin.
        clicks: Of each object, a prompt's counted; NoC needs 20.
        jitter_runs: Users with jitter beside the one without.
        gamma: Of the jitter.
        given: Clicks that a network takes, if fewer; see `ClickCurves`.
        expected: Objects there are; another count at `compute` is an error.
    """

    higher_is_better = None

    def __init__(
        self,
        start: Start,
        clicks: int,
        jitter_runs: int = 0,
        gamma: float = JITTER_GAMMA,
        given: int | None = None,
        expected: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.start, self.jitter_runs, self.gamma, self.given = start, jitter_runs, gamma, given
        self.length = clicks + 1 - STARTS[start].first
        if self.length < 1:
            raise ValueError(f"{start} counts as more clicks than {clicks}")
        width = self.length * (1 + jitter_runs) + 1
        name = f"clicks_{start}_{clicks}_{jitter_runs}"
        super().__init__(name, width, expected, **kwargs)

    def update(self, index: int, ious: npt.NDArray[np.float32], seconds: float) -> None:
        """Add an object: float32 `(1 + R, L)`, its IoUs and those of each run with jitter."""
        if ious.shape != (1 + self.jitter_runs, self.length):
            expected = (1 + self.jitter_runs, self.length)
            raise ValueError(f"IoUs are {ious.shape}, expected {expected}")
        row = np.append(ious.astype(np.float64).ravel(), seconds)
        self.add_rows([index], row[None].view(np.int64))

    def compute(self) -> dict[str, float]:
        return self._curves().values()

    def curves(self, names: Sequence[str]) -> ClickCurves:
        """Of the objects of all processes, whose index is a place in `names`; collective."""
        with self.gathered():
            return self._curves([names[i] for i in self.rows()[0]])

    def of_objects(self) -> dict[int, dict[str, float]]:
        """Each object's own values by its index; every process has to call it."""
        with self.gathered():
            columns = self._curves().of_objects()
            return {
                i: {name: float(column[place]) for name, column in columns.items()}
                for place, i in enumerate(self.rows()[0])
            }

    def _curves(self, names: Sequence[str] | None = None) -> ClickCurves:
        index, rows = self.rows()
        numbers = np.ascontiguousarray(rows).view(np.float64)
        ious = numbers[:, :-1].astype(np.float32).reshape(-1, 1 + self.jitter_runs, self.length)
        called = list(map(str, index)) if names is None else names
        return ClickCurves(
            *(self.start, called, ious[:, 0], numbers[:, -1]),
            *(ious[:, 1:], self.gamma, self.given),
        )


class CorrectionScores(PerImageMetric):
    """Mean IoU after 0, 1, 2 … corrections, as IOG reports it (CVPR 2020, section 4).

    Args:
        clicks: Corrections of each object.
        expected: Objects there are; another count at `compute` is an error.
    """

    higher_is_better = None

    def __init__(self, clicks: int, expected: int | None = None, **kwargs: Any) -> None:
        super().__init__(f"ious_after_{clicks}_clicks", clicks + 1, expected, **kwargs)
        self.clicks = clicks

    def update(self, ious: Sequence[Sequence[float]], index: Sequence[int]) -> None:
        """Add objects: the IoU of each after 0, 1 … `clicks` clicks."""
        rows = np.asarray(ious, np.float64)
        if rows.shape != (len(index), self.clicks + 1):
            raise ValueError(f"IoUs are {rows.shape}, expected {(len(index), self.clicks + 1)}")
        self.add_rows([int(i) for i in index], rows.view(np.int64))

    @property
    def protocols(self) -> dict[str, str]:
        """What each value of `compute` is."""
        rule = "simulated clicks into the middle of the largest error; IoU at > 0.5, void removed"
        return {f"iou_after_{k}": f"IoU after {k} clicks; {rule}" for k in range(self.clicks + 1)}

    def compute(self) -> dict[str, float]:
        _, rows = self.rows()
        ious = np.ascontiguousarray(rows).view(np.float64)
        return {f"iou_after_{k}": float(column.mean()) for k, column in enumerate(ious.T)}
