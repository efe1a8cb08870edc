"""Measures a click-guided network by the interactive field's protocol: any network, as a function.

The simulated user clicks into the middle of the error, the network answers all clicks so far, and
the IoU is read, 20 times for each object. Read in the code of RITM, SimpleClick and SegNext, which
share it (docs/metrics.md).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from src.datamodules.clicks import Click
from src.datamodules.instance_sources import InstanceSource
from src.datamodules.simulated_user import Jitter, SimulatedUser
from src.errors import UserError
from src.metrics import STARTS, ClickCurves, Start
from src.metrics.number_of_clicks import JITTER_GAMMA, MAX_CLICKS

FOREGROUND_ABOVE = 128
THRESHOLD = 0.49  # of a probability, as in all published numbers

Mask = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.floating[Any]]
Predict = Callable[..., Probabilities]  # see `evaluate_clicks`
Answer = Callable[[Sequence[Click]], Probabilities]


@dataclass(frozen=True)
class ObjectToClick:
    """An object of an image, and what a simulated user knows of it.

    Attributes:
        name: Of image and object, `2007_000033:1`; no two are called the same.
        image: Handed to the network as it is, with a prompt if it needs one.
        target: `(H, W)`, bool, or uint8 where the object is > 128.
        void: `(H, W)`, the same of pixels that do not count.
        mask: `(H, W)`, the same of the mask that clicks begin with, for `start="mask"`.
    """

    name: str
    image: Any
    target: npt.NDArray[Any]
    void: npt.NDArray[Any] | None = None
    mask: npt.NDArray[Any] | None = None


def objects_of(source: InstanceSource) -> Iterator[ObjectToClick]:
    """The objects of a data set, `Davis585(root)` for example, each read when its turn comes.

    Their `image` is uint8 RGB `(H, W, 3)`; `mask` is there where the set has start masks.
    """
    for item in range(len(source)):
        one = source.sample(item)
        yield ObjectToClick(one.name, one.image, one.mask, one.void, one.start_mask)


def evaluate_clicks(
    predict: Predict,
    objects: Iterable[ObjectToClick],
    *,
    start: Start = "nothing",
    clicks: int = MAX_CLICKS,
    jitter_runs: int = 0,
    gamma: float = JITTER_GAMMA,
    seed: int = 0,
    previous: bool = False,
) -> ClickCurves:
    """Click on objects and keep the IoU after each click; `values()` of these are the numbers.

    Args:
        predict: Gets an object's `image` and all clicks so far, `(x, y, inside)` each; returns its
            probability, float `(H, W)` in [0, 1]. With a prompt's start it is first called without
            a click. See also `previous`.
        objects: In the order of the results.
        start: `nothing`; `mask`, each object's own; `prompt3` (box and inside point) or `prompt4`
            (extreme points), which the network takes from `image`, and which count as clicks.
        clicks: Of each object, a prompt's counted; NoC and NoF need 20.
        jitter_runs: How many users with jitter click beside the one without.
        gamma: Of the jitter, see `Jitter`.
        seed: Of the jitter's first run; the next has the next.
        previous: `predict` also gets, as a third argument, what the next click is to correct, as
            networks with a mask among their inputs need it: float `(H, W)`, its own last answer;
            before the first click the object's mask as 0 and 1, or zeros where there is none.

    Raises:
        UserError: An object without a pixel, maps of different sizes, two objects of one name, or
            an answer that is no probability; it names the object.
    """
    if start not in STARTS:
        raise UserError(f"start is {start!r}; choose of {', '.join(STARTS)}")
    if clicks < STARTS[start].first:
        raise UserError(f"{clicks} clicks with start={start}: give {STARTS[start].first} or more")
    if jitter_runs < 0:
        raise UserError(f"jitter_runs is {jitter_runs}; give a number from 0 on")
    ious, jittered, seconds = [], [], []
    names: dict[str, None] = {}
    for one in objects:
        if one.name in names:
            raise UserError(f"two objects are called {one.name}; give each a name of its own")
        names[one.name] = None
        begun = time.perf_counter()
        ious.append(_curve(predict, one, start, clicks, None, previous))
        seconds.append(time.perf_counter() - begun)
        jitters = [Jitter(seed + run, one.name, gamma) for run in range(jitter_runs)]
        jittered.append(
            [_curve(predict, one, start, clicks, jitter, previous) for jitter in jitters]
        )
    if not names:
        raise UserError("there are no objects to click on")
    return ClickCurves(
        start,
        list(names),
        np.stack(ious),
        np.array(seconds),
        np.array(jittered, np.float32).reshape(len(names), jitter_runs, len(ious[0])),
        gamma,
    )


def click_through(
    answer: Answer, user: SimulatedUser, start: Start, clicks: int, prediction: Mask
) -> npt.NDArray[np.float32]:
    """The IoU of one object after each click, float32 `(L,)`.

    Args:
        answer: The probability, float `(H, W)`, after all clicks so far.
        user: Who clicks, without a click yet.
        start: With a prompt's, the first IoU is that of `prediction`.
        clicks: Of the object, a prompt's counted.
        prediction: What is there before the first click, `(H, W)`.
    """
    first = STARTS[start].first
    ious = [user.iou(prediction)] if first > 1 else []
    for number in range(first + len(ious), clicks + 1):
        user.click(prediction, number)
        prediction = answer(user.clicks) > THRESHOLD
        ious.append(user.iou(prediction))
    return np.array(ious, np.float32)


def _curve(
    predict: Predict,
    one: ObjectToClick,
    start: Start,
    clicks: int,
    jitter: Jitter | None,
    previous: bool,
) -> npt.NDArray[np.float32]:
    target = _mask(one, "target")
    if target is None or not target.any():
        raise UserError(f"{one.name}: the target has no pixel to click on")
    void = _mask(one, "void")
    last: Probabilities = np.zeros(target.shape, np.float32)

    def answer(given: Sequence[Click]) -> Probabilities:
        nonlocal last
        found = np.asarray(predict(one.image, tuple(given), *((last,) if previous else ())))
        if found.shape != target.shape:
            raise UserError(
                f"{one.name}: predict returned {found.shape}, and the target is {target.shape} "
                "(rows, columns)"
            )
        if found.dtype.kind != "f" or not (found >= 0).all() or not (found <= 1).all():
            raise UserError(f"{one.name}: predict returned no probabilities: floats from 0 to 1")
        last = found
        return found

    user = SimulatedUser(target, void, jitter)
    if start == "nothing":
        begin = np.zeros_like(target)
    elif start == "mask":
        given = _mask(one, "mask")
        if given is None:
            raise UserError(f"{one.name} has no mask to begin with; start=mask needs one")
        begin, last = given, given.astype(np.float32)
    else:
        begin = answer(()) > THRESHOLD
    return click_through(answer, user, start, clicks, begin)


def _mask(one: ObjectToClick, part: str) -> Mask | None:
    """A map of an object as bool, of the target's size."""
    given = getattr(one, part)
    if given is None:
        return None
    array = np.asarray(given)
    if array.shape != np.shape(one.target) or array.ndim != 2:
        raise UserError(
            f"{one.name}: {part} is {array.shape} and target {np.shape(one.target)}; both are "
            "(rows, columns) of the image"
        )
    if array.dtype not in (np.bool_, np.uint8):
        raise UserError(f"{one.name}: {part} is {array.dtype}; give bool, or uint8 up to 255")
    return array if array.dtype == np.bool_ else array > FOREGROUND_ABOVE
