"""Whether one method is better than another on the same images: paired bootstrap.

Compared are the values of single images, as `per_image.csv` holds them. For metrics whose data
set value comes from averaged curves (`max_f`) the mean of those is not the printed value.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from src import render
from src.errors import UserError
from src.evaluation.read_map import RESIZED
from src.metrics import higher_is_better, records, require_same
from src.plain_data import read_csv, read_json
from src.render import one_line
from src.training.results import PER_IMAGE, digest

RESAMPLES = 10_000
CONFIDENCE = 0.95
SHOWN = 20
_ADVICE = "score the maps again"

ValuesByImage = dict[tuple[str, str], dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Ours minus theirs, of one metric on one data set.

    Attributes:
        data: The data set.
        metric: The metric.
        images: On which both are defined.
        ours: Mean of our images.
        theirs: Mean of their images.
        low: Lower end of the confidence interval of the mean difference.
        high: Upper end.
        won: Share of images on which we are better; a draw counts half.
    """

    data: str
    metric: str
    images: int
    ours: float
    theirs: float
    low: float
    high: float
    won: float

    @property
    def difference(self) -> float:
        return self.ours - self.theirs

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `undecided` where the interval holds 0."""
        if not (self.low > 0 or self.high < 0):
            return "undecided"
        return "better" if (self.low > 0) == higher_is_better(self.metric) else "worse"


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation or a run wrote of single images, and what its numbers mean.

    Attributes:
        folder: Where it lies.
        table: Values by data set and name.
        protocol: `describe(name)` by metric, as stored beside the numbers.
    """

    folder: Path
    table: ValuesByImage
    protocol: Mapping[str, str]


def read_evaluation(folder: Path) -> Evaluation:
    """Read an evaluation of all images at their own size, and refuse any other.

    Raises:
        UserError: A file is missing or damaged, was changed since it was written, holds fewer
            images than there are targets, or values of resized maps.
    """
    table, said = read_table(folder / PER_IMAGE), _said(folder)
    _require_complete(folder, table, said)
    protocol = _texts(said, "protocol")
    if protocol is None:
        raise UserError(f"compare: {folder} does not say how its numbers were made; {_ADVICE}")
    return Evaluation(folder, table, protocol)


def compare_evaluations(ours: Evaluation, theirs: Evaluation, seed: int = 0) -> list[Comparison]:
    """Compare two evaluations, image by image.

    Raises:
        UserError: the images are not the same, or a protocol differs.
    """
    left, right = ours.table, theirs.table
    unshared = sorted(left.keys() ^ right.keys())
    if unshared:
        listed = "\n".join(f"  {one_line('/'.join(key))}" for key in unshared[:SHOWN])
        raise UserError(
            f"{ours.folder} and {theirs.folder} do not hold the same images ({len(left)} and "
            f"{len(right)}); {len(unshared)} are in one only:\n{listed}"
        )
    first = next(iter(left))
    shared = [m for m in left[first] if m in right[first] and m in records()]
    if not shared:
        raise UserError(f"{ours.folder} and {theirs.folder} have no metric in common")
    require_same(ours.protocol, theirs.protocol, shared)
    return compare(left, right, shared, seed)


def compare(
    ours: ValuesByImage, theirs: ValuesByImage, metrics: Sequence[str], seed: int = 0
) -> list[Comparison]:
    """Compare two tables of the same images; deterministic for a seed."""
    results = []
    for data in dict.fromkeys(name for name, _ in ours):
        keys = [key for key in ours if key[0] == data]
        for metric in metrics:
            pairs = np.array([(ours[key][metric], theirs[key][metric]) for key in keys])
            results.append(_compare_one(data, metric, pairs, seed))
    return results


def bootstrap_interval(
    differences: npt.NDArray[np.float64], seed: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile interval of the mean of paired differences, at 95 %."""
    rng = np.random.default_rng(seed)
    size = len(differences)
    means = np.empty(resamples)
    step = max(1, 2_000_000 // size)
    for start in range(0, resamples, step):
        drawn = rng.integers(0, size, (min(step, resamples - start), size))
        means[start : start + step] = differences[drawn].mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return float(low), float(high)


def markdown(comparisons: Sequence[Comparison], theirs: str) -> str:
    """A table with a line per data set and measure."""
    head = ["data", "metric", "N", "ours", theirs, "difference", "95 % interval", "won", "verdict"]
    lines = [
        [
            *(one.data, one.metric, one.images, f"{one.ours:.4f}", f"{one.theirs:.4f}"),
            *(f"{one.difference:+.4f}", f"[{one.low:+.4f}, {one.high:+.4f}]"),
            *(f"{one.won:.0%}", one.verdict),
        ]
        for one in comparisons
    ]
    table = render.markdown_table(head, lines, "llrrrrrrl")
    return table + (
        "\nMeans of single images' values, ours minus theirs; paired bootstrap over images, "
        f"{RESAMPLES} resamples.\n"
    )


def read_table(path: Path) -> ValuesByImage:
    """Values by data set and name; raises UserError where there is no such table."""
    if not path.is_file():
        raise UserError(f"compare: no {path}; give a folder that evaluate.py or a run wrote")
    rows = read_csv(path, _ADVICE)
    if not rows or not {"set", "name"} <= rows[0].keys():
        raise UserError(f"{path}: no images, or no columns 'set' and 'name'")
    table: ValuesByImage = {}
    for number, row in enumerate(rows, 2):
        key = (row.pop("set"), row.pop("name"))
        if key in table:
            raise UserError(f"{path}:{number}: {one_line('/'.join(key))} is there twice; {_ADVICE}")
        table[key] = {name: _value(name, text, f"{path}:{number}") for name, text in row.items()}
    return table


def _value(name: str, text: str, place: str) -> float:
    """A number; undefined where the metric may be, on an image without a boundary."""
    try:
        value = float(text or "nan")
    except ValueError:
        raise UserError(f"{place}: {name} is {text[:40]!r}, no number; {_ADVICE}") from None
    if not math.isfinite(value) and not (math.isnan(value) and _may_be_undefined(name)):
        raise UserError(f"{place}: {name} is {text or 'empty'}, no finite number; {_ADVICE}")
    return value


def _compare_one(data: str, metric: str, pairs: npt.NDArray[np.float64], seed: int) -> Comparison:
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    if not len(pairs):
        return Comparison(data, metric, 0, *[math.nan] * 5)
    differences = pairs[:, 0] - pairs[:, 1]
    sign = 1 if higher_is_better(metric) else -1
    won = float(((np.sign(differences) * sign + 1) / 2).mean())
    ours, theirs = (float(mean) for mean in pairs.mean(axis=0))
    low, high = bootstrap_interval(differences, seed)
    return Comparison(data, metric, len(pairs), ours, theirs, low, high, won)


def _said(folder: Path) -> dict[str, Any]:
    """What an evaluation (`protocol.json`) or a run says of its numbers."""
    for name in ("protocol.json", "provenance.json"):
        if (folder / name).is_file():
            return read_json(folder / name, _ADVICE)
    raise UserError(
        f"{folder}: neither protocol.json nor provenance.json, so nothing says how its "
        "numbers were made"
    )


def _require_complete(folder: Path, table: ValuesByImage, said: Mapping[str, Any]) -> None:
    files, partial, notices = (_mapping(said, key) for key in ("files", "partial", "notices"))
    if (stated := files.get(PER_IMAGE)) not in (None, digest(folder / PER_IMAGE)):
        raise UserError(
            f"compare: {folder / PER_IMAGE} was changed since it was written, by its checksum "
            f"{str(stated)[:12]}; {_ADVICE}"
        )
    if partial:
        shares = ", ".join(f"{one_line(name)} {share}" for name, share in partial.items())
        raise UserError(
            f"compare: {folder} is incomplete ({shares} images, allow_missing=true): the images "
            "that are missing may be the hard ones; score all of them"
        )
    if resized := [text for text in notices if text.startswith(RESIZED)]:
        raise UserError(
            f"compare: {folder} holds {notices[resized[0]]} maps that were brought to the target's "
            "size (resize=prediction), which changes their values; compare maps of that size"
        )
    counts = Counter(name for name, _ in table)
    for name, count in _mapping(said, "images").items():
        if counts.get(name, 0) != count:
            raise UserError(
                f"compare: {folder / PER_IMAGE} holds {counts.get(name, 0)} images of "
                f"{one_line(name)}, and was written with {count}; {_ADVICE}"
            )


def _mapping(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = said.get(key)
    return found if isinstance(found, dict) else {}


def _texts(said: Mapping[str, Any], key: str) -> dict[str, str] | None:
    found = said.get(key)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        return None
    return found


def _may_be_undefined(name: str) -> bool:
    known = records().get(name)
    return known is not None and known.may_be_undefined
