"""How the IoU rises with corrective clicks (IOG, CVPR 2020), and the number of clicks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.metrics._per_image import PerImageMetric
from src.metrics.number_of_clicks import clicks_to_reach

TARGETS = (85, 90)


class ClickScores(PerImageMetric):
    """Mean IoU after 0, 1, 2 … further clicks, and the number of clicks to reach an IoU.

    The prompt that starts an object counts as the first click of NoC. An object that does not
    reach the IoU counts as the most clicks that were given, the prompt's and `clicks`: that cap is
    part of the metric's protocol. The literature's cap of 20 is `clicks=19`.

    Args:
        clicks: Further clicks of each object.
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
    def cap(self) -> int:
        """The clicks after which an object is given up, the prompt being the first."""
        return self.clicks + 1

    @property
    def protocols(self) -> dict[str, str]:
        """What each value of `compute` is."""
        rule = "simulated clicks into the middle of the largest error; IoU at > 0.5, void removed"
        after = {f"iou_after_{k}": f"IoU after {k} clicks; {rule}" for k in range(self.clicks + 1)}
        return after | {
            # Version 2: version 1 counted one click more than were given where none was enough.
            f"noc{target}": f"noc{target}/2: clicks to reach IoU 0.{target}, the prompt being the "
            f"first, at most {self.cap}; mean over objects; {rule}"
            for target in TARGETS
        }

    def compute(self) -> dict[str, float]:
        _, rows = self.rows()
        ious = np.ascontiguousarray(rows).view(np.float64)
        curve = {f"iou_after_{k}": float(column.mean()) for k, column in enumerate(ious.T)}
        return curve | {
            f"noc{target}": float(
                np.mean([clicks_to_reach(row, target / 100, self.cap) for row in ious])
            )
            for target in TARGETS
        }
