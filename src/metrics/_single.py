"""One torchmetrics `Metric` per metric, for any project's `MetricCollection`.

`update(predictions, targets, index=None)` takes uint8 maps `(h, w)`, or tensors `(B, 1, H, W)`.
To compute many metrics use `SegmentationMetrics`, which does once per image what they share.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from src.metrics._per_image import PerImageMetric, number
from src.metrics._record import RAW, record
from src.metrics._scores import SegmentationMetrics
from src.metrics.number_of_clicks import MAX_CLICKS, clicks_to_reach

Form = Literal["max", "mean", "adp"]


class SegmentationMetric(SegmentationMetrics):
    """One metric by its name; takes the other arguments of `SegmentationMetrics`.

    Attributes:
        name: Of the metric.
        protocol: What the number means, to be stored beside it.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__([name], **kwargs)
        self.name, self.protocol = name, record(name).protocol

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        return record(self.name).higher_is_better

    def compute(self) -> Tensor:  # type: ignore[override]
        """The metric over all images of all processes, float64."""
        return torch.tensor(super().compute()[self.name], dtype=torch.float64)


class MAE(SegmentationMetric):
    """Mean absolute error; `raw` leaves out the min-max normalization."""

    def __init__(self, raw: bool = False, **kwargs: Any) -> None:
        super().__init__("mae" + RAW * raw, **kwargs)


class SMeasure(SegmentationMetric):
    """Structure metric; `raw` leaves out the min-max normalization."""

    def __init__(self, raw: bool = False, **kwargs: Any) -> None:
        super().__init__("s_measure" + RAW * raw, **kwargs)


class WeightedF(SegmentationMetric):
    """Weighted F-measure; `raw` leaves out the min-max normalization."""

    def __init__(self, raw: bool = False, **kwargs: Any) -> None:
        super().__init__("weighted_f" + RAW * raw, **kwargs)


class FMeasure(SegmentationMetric):
    """F-measure, β² = 0.3, by PySODMetrics' rule; never to be mixed with `MaxFDis`."""

    def __init__(self, form: Form = "max", raw: bool = False, **kwargs: Any) -> None:
        super().__init__(f"{form}_f" + RAW * raw, **kwargs)


class EMeasure(SegmentationMetric):
    """Enhanced-alignment metric."""

    def __init__(self, form: Form = "max", raw: bool = False, **kwargs: Any) -> None:
        super().__init__(f"{form}_e" + RAW * raw, **kwargs)


class MaxFDis(SegmentationMetric):
    """Max-F of averaged precision and recall: older papers' (256) or IS-Net's log's (255)."""

    def __init__(self, thresholds: Literal[255, 256] = 256, **kwargs: Any) -> None:
        super().__init__({255: "max_f_dis_255", 256: "max_f_dis"}[thresholds], **kwargs)


class HCE(SegmentationMetric):
    """Human correction efforts; `pysod` is PySODMetrics' variant, which gives other numbers."""

    def __init__(self, pysod: bool = False, **kwargs: Any) -> None:
        super().__init__("hce_pysod" if pysod else "hce", **kwargs)


class MBA(SegmentationMetric):
    """Mean boundary accuracy; targets without a boundary are left out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("mba", **kwargs)


class BIoU(SegmentationMetric):
    """Boundary IoU."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("biou", **kwargs)


class IoU(SegmentationMetric):
    """IoU outside void; `threshold` is a percentage of full brightness."""

    def __init__(self, threshold: int = 50, **kwargs: Any) -> None:
        super().__init__(f"iou_{threshold}", **kwargs)


class ErrorPercent(SegmentationMetric):
    """Wrong pixels in percent of the target's tight box, outside void."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("error_percent", **kwargs)


class MeanRecall(SegmentationMetric):
    """mAP^r of given instances; `update` needs their `categories`."""

    def __init__(self, at: Literal["50", "70", "vol"] = "vol", **kwargs: Any) -> None:
        super().__init__(f"mapr_{at}", **kwargs)


class NumberOfClicks(PerImageMetric):
    """Mean number of clicks to reach an IoU (NoC@85, NoC@90), compared in float32.

    Args:
        target: The IoU to reach, in (0, 1].
        cap: Clicks after which the image counts as failed, with this number.
        expected: Images there are, if their number is to be checked.
    """

    higher_is_better = False

    def __init__(
        self,
        target: float,
        cap: int = MAX_CLICKS,
        expected: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(f"clicks_{target}_{cap}".replace(".", "_"), 1, expected, **kwargs)
        self.target, self.cap, self._seen = target, cap, 0

    def update(
        self, ious: Sequence[Sequence[float]], index: Sequence[int] | Tensor | None = None
    ) -> None:
        """Add objects: of each, the IoU after click 1, 2, 3 …"""
        numbers = number(index, len(ious), self._seen)
        self._seen += len(ious)
        clicks = [int(clicks_to_reach(one, self.target, self.cap)) for one in ious]
        self.add_rows(numbers, np.array(clicks, np.int64).reshape(-1, 1))

    def compute(self) -> Tensor:
        _, rows = self.rows()
        return torch.from_numpy(rows[:, 0]).double().mean()

    def reset(self) -> None:
        self._seen = 0
        super().reset()
