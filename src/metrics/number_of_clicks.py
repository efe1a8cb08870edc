"""NoC: how many clicks it takes to reach an IoU, and what else the field counts of clicks.

Defined by Xu et al. (CVPR 2016) and counted here as RITM, SimpleClick and SegNext count it. A
number is of one start: from nothing, from a mask that is given, or from a prompt whose points count
as clicks. `_click_curves.py` makes the numbers from the IoU after each click.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from src.metrics._record import OUTSIDE_VOID, MetricRecord

Start = Literal["nothing", "mask", "prompt3", "prompt4"]

MAX_CLICKS = 20  # the literature's cap
PERCENTS = (80, 85, 90, 95)  # NoC@80 to NoC@95, and NoF
SPREAD_PERCENTS = (85, 90)  # standard deviation, and the user with jitter
AFTER = (1, 2, 3, 5, 10, 20)  # clicks after which the mean IoU is reported
SOON, SOON_PERCENT = 5, 85
JITTER_RUNS, JITTER_GAMMA = 5, 1.0  # of the metrics that are called jitter


class StartFacts(NamedTuple):
    """How an object begins.

    suffix: Of the names of metrics that begin so.
    first: The click after which the first IoU counts.
    words: For protocols.
    """

    suffix: str
    first: int
    words: str


STARTS: dict[Start, StartFacts] = {
    "nothing": StartFacts("", 1, "from an empty mask, without a prompt"),
    "mask": StartFacts("_from_mask", 1, "from a given mask, which counts as no click"),
    "prompt3": StartFacts(
        "_prompt3", 3, "from the mask of a box and an inside point, clicks 1 to 3"
    ),
    "prompt4": StartFacts("_prompt4", 4, "from the mask of four extreme points, clicks 1 to 4"),
}


def clicks_to_reach(
    ious: npt.ArrayLike, target: float, cap: int = MAX_CLICKS, first: int = 1
) -> npt.NDArray[np.int64]:
    """How many clicks it took to reach an IoU of `target`; `cap` if that many did not.

    Compared in float32, as the field does. A later fall of the IoU changes nothing.

    Args:
        ious: `(…, L)`, IoU after click `first`, `first` + 1 …
        target: 0.85 for NoC@85.
        cap: Clicks after which an annotator gives up.
        first: More than 1 where a prompt's points count as clicks.
    """
    reached = np.asarray(ious, np.float32)[..., : cap - first + 1] >= np.float32(target)
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + first, cap)


def _records(start: StartFacts) -> Iterator[MetricRecord]:
    def record(
        name: str, score: str, reporting: str = "mean over objects", **fields: Any
    ) -> MetricRecord:
        return MetricRecord(
            name=name + start.suffix,
            prediction="probability > 0.49, after each click of the field's simulated user",
            matching=OUTSIDE_VOID,
            score=f"{score}; {start.words}",
            reporting=reporting,
            of_image=None,
            **fields,
        )

    # Not `counts`, which tables print with one decimal: papers differ in the second.
    fewer: dict[str, Any] = {"higher_is_better": False}
    counted: dict[str, Any] = {"higher_is_better": False, "counts": True}
    noc = {
        percent: f"first click with IoU >= 0.{percent} in float32, {MAX_CLICKS} if none of "
        f"{MAX_CLICKS} has it"
        for percent in PERCENTS
    }
    for percent in PERCENTS:
        # Versions 1 and 2 had another user, threshold and start, and a cap of any size.
        version = 3 if not start.suffix and percent in (85, 90) else 1
        yield record(f"noc{percent}", noc[percent], version=version, **fewer)
    failed = f"number of objects with {MAX_CLICKS}, also if they succeed at click {MAX_CLICKS}"
    for percent in PERCENTS:
        yield record(f"nof{percent}", noc[percent], failed, **counted)
    never = f"no IoU >= 0.90 in float32 after any of {MAX_CLICKS} clicks"
    yield record("never_90", never, "number of objects", **counted)
    for count in AFTER:
        if count >= start.first:
            yield record(f"miou_{count}", f"IoU after {count} clicks")
    soon = f"1 if IoU >= 0.{SOON_PERCENT} in float32 within {SOON} clicks, else 0"
    yield record(f"reached{SOON_PERCENT}_in_{SOON}", soon)
    for percent in SPREAD_PERCENTS:
        spread = "population standard deviation over objects"
        yield record(f"noc{percent}_std", noc[percent], spread, **fewer)
        drawn = (
            f"{noc[percent]}; clicks drawn ∝ depth^{JITTER_GAMMA:g} over the connected error that "
            "holds the deepest pixel"
        )
        for form, words in (("mean", "mean"), ("worst", "largest")):
            runs = f"mean over objects, then the {words} of {JITTER_RUNS} runs"
            yield record(f"noc{percent}_jitter_{form}", drawn, runs, **fewer)


RECORDS = [record for start in STARTS.values() for record in _records(start)]
