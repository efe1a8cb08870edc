"""The IoU of objects after each click: what is kept of a test by clicks, and what is counted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from src.atomic import atomic_write
from src.errors import UserError
from src.metrics._record import describe
from src.metrics.number_of_clicks import (
    AFTER,
    JITTER_GAMMA,
    JITTER_RUNS,
    MAX_CLICKS,
    PERCENTS,
    RECORDS,
    SOON,
    SOON_PERCENT,
    SPREAD_PERCENTS,
    STARTS,
    Start,
    clicks_to_reach,
)
from src.plain_data import read_json

CLICKS_FILE = "clicks.json"
_ADVICE = "test again with metrics.clicks=20"

Ious = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClickCurves:
    """How the IoU of each object of a data set rises with its clicks.

    Attributes:
        start: How objects begin; the prompt's points count as clicks.
        names: Of the objects, in order.
        ious: float32 `(N, L)`, after click `STARTS[start].first` and each further one.
        jittered: float32 `(N, R, L)`, the same of R users whose clicks are jittered.
        seconds: `(N,)`, the time of each object's clicks, jittered ones aside.
        gamma: Of the jitter.
        given: Clicks that each object got, a prompt's counted, where the network takes no more;
            it then keeps its mask. None: all of them.
    """

    start: Start
    names: Sequence[str]
    ious: Ious
    seconds: npt.NDArray[np.float64]
    jittered: Ious = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    gamma: float = JITTER_GAMMA
    given: int | None = None

    @property
    def clicks(self) -> int:
        """After which the last IoU is, a prompt's counted."""
        return STARTS[self.start].first - 1 + self.ious.shape[1]

    @property
    def seconds_per_click(self) -> float:
        """Of clicker, network and IoU together, on the machine of the test; no metric of tables."""
        given = self.clicks if self.given is None else self.given
        return float(self.seconds.sum() / (given * len(self.names)))

    def number_of_clicks(self, target: float) -> npt.NDArray[np.int64]:
        """Of each object `(N,)`, the clicks to reach an IoU of `target`, in (0, 1].

        Raises:
            UserError: Other than 20 clicks were given, so that it cannot be told.
        """
        self._require_all()
        return clicks_to_reach(self.ious, target, first=STARTS[self.start].first)

    def after(self, count: int) -> Ious:
        """IoU of each object `(N,)` after `count` clicks, float32. UserError where not known."""
        first = STARTS[self.start].first
        if not first <= count <= self.clicks:
            raise UserError(f"IoUs are known after {first} to {self.clicks} clicks, not {count}")
        return self.ious[:, count - first]

    def of_objects(self) -> dict[str, npt.NDArray[np.float64]]:
        """Each object's own value of the metrics that average objects, `(N,)` by name."""
        start = STARTS[self.start]
        values: dict[str, npt.NDArray[Any]] = {}
        if self.clicks == MAX_CLICKS:
            values |= {f"noc{p}": self.number_of_clicks(p / 100) for p in PERCENTS}
        known = [count for count in AFTER if start.first <= count <= self.clicks]
        values |= {f"miou_{count}": self.after(count) for count in known}
        if self.clicks >= SOON:
            soon = self.ious[:, : SOON + 1 - start.first] >= np.float32(SOON_PERCENT / 100)
            values[f"reached{SOON_PERCENT}_in_{SOON}"] = soon.any(axis=1)
        return {name + start.suffix: column.astype(float) for name, column in values.items()}

    def values(self) -> dict[str, float]:
        """The metrics of the data set by name; NoC and NoF are there after 20 clicks only.

        Sums run in the order of the objects: the same order gives the same bits.
        """
        values = {name: float(column.mean()) for name, column in self.of_objects().items()}
        if self.clicks == MAX_CLICKS:
            suffix = STARTS[self.start].suffix
            values |= {name + suffix: value for name, value in self._of_set().items()}
        return {one.name: values[one.name] for one in RECORDS if one.name in values}

    def _of_set(self) -> dict[str, float]:
        """The metrics that are no means over objects, without the start's suffix."""
        values: dict[str, float] = {}
        for percent in PERCENTS:
            failed = self.number_of_clicks(percent / 100) == MAX_CLICKS
            values[f"nof{percent}"] = float(failed.sum())
        reached = (self.ious >= np.float32(0.9)).any(axis=1)
        values["never_90"] = float((~reached).sum())
        for percent in SPREAD_PERCENTS:
            values[f"noc{percent}_std"] = float(self.number_of_clicks(percent / 100).std())
            if self.jittered.size:
                runs = self._jittered(percent / 100)
                values[f"noc{percent}_jitter_mean"] = float(runs.mean())
                values[f"noc{percent}_jitter_worst"] = float(runs.max())
        return values

    def protocols(self) -> dict[str, str]:
        """What each of `values` is."""
        runs = self.jittered.shape[1]
        return {name: describe_clicks(name, runs, self.gamma) for name in self.values()}

    def _jittered(self, target: float) -> npt.NDArray[np.float64]:
        """NoC of each run with jitter, `(R,)`."""
        clicks = clicks_to_reach(self.jittered, target, first=STARTS[self.start].first)
        return np.asarray(clicks.mean(axis=0))

    def _require_all(self) -> None:
        if self.clicks != MAX_CLICKS:
            raise UserError(
                f"NoC is counted over {MAX_CLICKS} clicks, and {self.clicks} were given; {_ADVICE}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, from which every other target's NoC follows."""
        objects = {
            name: {"ious": _digits(self.ious[i]), "seconds": float(self.seconds[i])}
            for i, name in enumerate(self.names)
        }
        if self.jittered.size:
            for name, runs in zip(self.names, self.jittered, strict=True):
                objects[name]["jittered"] = [_digits(run) for run in runs]
        first = STARTS[self.start].first
        said = {"start": self.start, "first_click": first, "clicks": self.clicks}
        return said | {"given": self.given, "gamma": self.gamma, "objects": objects}


def describe_clicks(name: str, jitter_runs: int, gamma: float = JITTER_GAMMA) -> str:
    """The protocol of a metric of clicks; of another jitter than the record's, one of its own."""
    if "_jitter_" not in name or (jitter_runs, gamma) == (JITTER_RUNS, JITTER_GAMMA):
        return describe(name)
    return f"{name} of {jitter_runs} runs at depth^{gamma:g}, otherwise as {describe(name)}"


def write_click_curves(folder: str | Path, curves: Mapping[str, ClickCurves]) -> None:
    """Write `clicks.json`, the curves by data set, which `read_click_curves` reads."""
    stored = {data: one.to_dict() for data, one in curves.items()}
    Path(folder).mkdir(parents=True, exist_ok=True)
    atomic_write(Path(folder) / CLICKS_FILE, json.dumps(stored) + "\n")


def read_click_curves(folder: str | Path) -> dict[str, ClickCurves]:
    """The curves by data set that a test by clicks left in its folder.

    Raises:
        UserError: There are none, or the file is damaged.
    """
    path = Path(folder) / CLICKS_FILE
    stored = read_json(path, _ADVICE, finite=True)
    try:
        return {name: _from_dict(one) for name, one in stored.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: these are no IoUs after clicks; {_ADVICE}") from None


def _from_dict(stored: Mapping[str, Any]) -> ClickCurves:
    start, objects = stored["start"], stored["objects"]
    if start not in get_args(Start):
        raise ValueError(start)
    first, clicks = STARTS[start].first, int(stored["clicks"])
    length = clicks + 1 - first
    ious = np.array([one["ious"] for one in objects.values()], np.float32)
    jittered = np.array([one.get("jittered", []) for one in objects.values()], np.float32)
    seconds = np.array([one["seconds"] for one in objects.values()], np.float64)
    if ious.shape != (len(objects), length) or seconds.shape != (len(objects),):
        raise ValueError(ious.shape)
    if jittered.size == 0:
        jittered = np.empty((len(objects), 0, length), np.float32)
    if jittered.ndim != 3 or jittered.shape[::2] != ious.shape:
        raise ValueError(jittered.shape)
    given = None if stored["given"] is None else int(stored["given"])
    return ClickCurves(start, list(objects), ious, seconds, jittered, float(stored["gamma"]), given)


def _digits(ious: Ious) -> list[float]:
    """The shortest numbers that are these in float32."""
    return [float(str(iou)) for iou in ious]
