"""Whether one method is better than another on the same images: paired bootstrap.

Compared are the values of single images, as `per_image.csv` holds them. For measures whose data
set value comes from averaged curves (`max_f`) the mean of those is not the printed value.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.errors import UserError
from src.metrics.protocol import PROTOCOLS, higher_is_better, require_same
from src.runs.results import PER_IMAGE

RESAMPLES = 10_000
CONFIDENCE = 0.95
SHOWN = 20

Table = dict[tuple[str, str], dict[str, float]]


@dataclass(frozen=True)
class Comparison:
    """Ours minus theirs, of one measure on one data set.

    Attributes:
        data: The data set.
        metric: The measure.
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


def compare_folders(ours: Path, theirs: Path, seed: int = 0) -> list[Comparison]:
    """Compare two evaluations or runs, image by image.

    Args:
        ours: Folder with `per_image.csv` and the protocol beside it.
        theirs: The same of the other method.
        seed: Of the bootstrap.

    Raises:
        UserError: a file is missing, the images are not the same, or a protocol differs.
    """
    left, right = read_table(ours / PER_IMAGE), read_table(theirs / PER_IMAGE)
    unshared = sorted(left.keys() ^ right.keys())
    if unshared:
        listed = "\n".join("  " + "/".join(key) for key in unshared[:SHOWN])
        raise UserError(
            f"{ours} and {theirs} do not hold the same images; {len(unshared)} are in one only:\n"
            f"{listed}"
        )
    first = next(iter(left))
    shared = [m for m in left[first] if m in right[first] and m in PROTOCOLS]
    if not shared:
        raise UserError(f"{ours} and {theirs} have no measure in common")
    require_same(_protocol(ours), _protocol(theirs), shared)
    return compare(left, right, shared, seed)


def compare(ours: Table, theirs: Table, metrics: Sequence[str], seed: int = 0) -> list[Comparison]:
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
    lines = [
        ["data", "metric", "N", "ours", theirs, "difference", "95 % interval", "won", "verdict"],
        ["---", "---", *["---:"] * 6, "---"],
    ]
    for one in comparisons:
        numbers = [f"{one.ours:.4f}", f"{one.theirs:.4f}", f"{one.difference:+.4f}"]
        interval = f"[{one.low:+.4f}, {one.high:+.4f}]"
        head = [one.data, one.metric, str(one.images)]
        lines.append([*head, *numbers, interval, f"{one.won:.0%}", one.verdict])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + (
        "\nMeans of single images' values, ours minus theirs; paired bootstrap over images, "
        f"{RESAMPLES} resamples.\n"
    )


def read_table(path: Path) -> Table:
    """Values by data set and name; raises UserError where there is no such table."""
    if not path.is_file():
        raise UserError(f"compare: no {path}; give a folder that evaluate.py or a run wrote")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"set", "name"} <= rows[0].keys():
        raise UserError(f"{path}: no images, or no columns 'set' and 'name'")
    return {
        (row["set"], row["name"]): {
            key: float(value or "nan") for key, value in row.items() if key not in ("set", "name")
        }
        for row in rows
    }


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


def _protocol(folder: Path) -> Mapping[str, str]:
    """The protocols stored beside an evaluation's numbers (`protocol.json`) or a run's."""
    for name in ("protocol.json", "provenance.json"):
        path = folder / name
        if path.is_file():
            return dict(json.loads(path.read_text()).get("protocol", {}))
    raise UserError(
        f"{folder}: neither protocol.json nor provenance.json, so nothing says how its "
        "numbers were made"
    )
