"""Whether one method is better than another on the same images: paired bootstrap.

Compared are the values of single images, as `per_image.csv` holds them. For metrics whose data
set value comes from averaged curves (`max_f`) the mean of those is not the printed value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src import render
from src.errors import UserError
from src.evaluation.read_map import RESIZED
from src.metrics import higher_is_better, records, require_same
from src.render import one_line
from src.results.folder import (
    ResultsFolder,
    advice_for,
    read_results_folder,
    refuse_mixed_trimaps,
)
from src.results.schema import PER_IMAGE

RESAMPLES = 10_000
CONFIDENCE = 0.95
SHOWN = 20

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


def read_comparable(folder: str | Path) -> ResultsFolder:
    """Read the results of all images at their own size, and refuse any other.

    Raises:
        UserError: A file is missing or damaged, was changed since it was written, holds fewer
            images than there are targets, or values of resized maps.
    """
    found = read_results_folder(folder)
    _require_complete(found)
    if not any(table.names for table in found.per_image.values()):
        raise UserError(f"{found.path / PER_IMAGE}: no images")
    if not found.protocol:
        raise UserError(
            f"compare: {folder} does not say how its numbers were made; {advice_for(found.path)}"
        )
    return found


def compare_results(ours: ResultsFolder, theirs: ResultsFolder, seed: int = 0) -> list[Comparison]:
    """Compare two methods by their results, image by image; deterministic for a seed.

    Raises:
        UserError: the images are not the same, or a protocol differs.
    """
    left, right = _by_image(ours), _by_image(theirs)
    unshared = sorted(left.keys() ^ right.keys())
    if unshared:
        listed = "\n".join(f"  {one_line('/'.join(key))}" for key in unshared[:SHOWN])
        raise UserError(
            f"{ours.path} and {theirs.path} do not hold the same images ({len(left)} and "
            f"{len(right)}); {len(unshared)} are in one only:\n{listed}"
        )
    first = next(iter(left))
    shared = [m for m in left[first] if m in right[first] and m in records()]
    if not shared:
        raise UserError(f"{ours.path} and {theirs.path} have no metric in common")
    require_same(ours.protocol, theirs.protocol, shared)
    refuse_mixed_trimaps((ours, theirs))
    results = []
    for data in ours.per_image:
        keys = [key for key in left if key[0] == data]
        for metric in shared if keys else ():
            pairs = np.array([(left[key][metric], right[key][metric]) for key in keys])
            results.append(_compare_one(data, metric, pairs, seed))
    return results


def _by_image(folder: ResultsFolder) -> ValuesByImage:
    """Values by data set and name: two folders may hold their images in two orders."""
    return {
        (data, name): {metric: float(values[i]) for metric, values in table.values.items()}
        for data, table in folder.per_image.items()
        for i, name in enumerate(table.names)
    }


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


def _require_complete(found: ResultsFolder) -> None:
    partial, notices = found.provenance.partial, found.provenance.notices
    if partial:
        shares = ", ".join(f"{one_line(name)} {share}" for name, share in partial.items())
        raise UserError(
            f"compare: {found.path} is incomplete ({shares} images, allow_missing=true): the "
            "images that are missing may be the hard ones; score all of them"
        )
    if resized := [text for text in notices if text.startswith(RESIZED)]:
        raise UserError(
            f"compare: {found.path} holds {notices[resized[0]]} maps that were brought to the "
            "target's size (resize=prediction), which changes their values; compare maps of that "
            "size"
        )
