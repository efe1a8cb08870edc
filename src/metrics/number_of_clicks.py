"""NoC: how many clicks it takes to reach an IoU (Xu et al., CVPR 2016), as IOG reports it."""

from collections.abc import Sequence

from src.metrics._record import OUTSIDE_VOID, MetricRecord

MAX_CLICKS = 20  # the literature's cap
PERCENTS = (85, 90)


def clicks_to_reach(ious: Sequence[float], target: float, cap: int = MAX_CLICKS) -> int:
    """How many clicks it took to reach an IoU of `target`; `cap` if that many did not.

    Args:
        ious: IoU after click 1, 2, 3 …
        target: 0.85 for NoC@85.
        cap: Clicks after which an annotator gives up.
    """
    for clicks, iou in enumerate(ious[:cap], start=1):
        if iou >= target:
            return clicks
    return cap


RECORDS = [
    MetricRecord(
        name=f"noc{percent}",
        prediction="8 bit, v/255 > 0.5, after each click",
        matching=OUTSIDE_VOID,
        score=f"clicks to reach IoU 0.{percent}, at most {MAX_CLICKS}",
        higher_is_better=False,
        counts=True,
        of_image=None,
    )
    for percent in PERCENTS
]
