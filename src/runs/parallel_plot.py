"""Draws a sweep in parallel coordinates: an axis for each setting, a line for each job."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.whole_file import written_whole

Line = tuple[Mapping[str, str], float | None]

_DECADES = 2  # values that span more stand on a logarithmic axis


def parallel_plot(path: Path, lines: Sequence[Line]) -> None:
    """Write a PNG of jobs, each a line through its settings to its objective.

    Args:
        path: The file.
        lines: Settings by key, as written on the command line, and the objective; None: the job
            failed, and its line ends, grey, before the last axis.
    """
    keys = list(dict.fromkeys(key for settings, _ in lines for key in settings))
    axes = [_Axis(key, [settings.get(key, "–") for settings, _ in lines]) for key in keys]
    scores = [score for _, score in lines if score is not None]
    last = _Axis("objective", [repr(score) for score in scores]) if scores else None
    figure = Figure(figsize=(2.2 + 1.8 * len(keys), 4.5), layout="constrained")
    plot = figure.subplots()
    colours = matplotlib.colormaps["viridis"]
    for settings, score in sorted(lines, key=_best_on_top):
        heights = [axis.height(settings.get(axis.key, "–")) for axis in axes]
        if score is None or last is None:
            plot.plot(heights, color="0.6", linestyle="--", linewidth=1)
            continue
        height = last.height(repr(score))
        plot.plot([*heights, height], color=colours(0.9 * height), linewidth=1.8)
    for position, axis in enumerate(axes):
        axis.draw(plot, position, "right")
    if last:
        last.draw(plot, len(axes), "left")
    plot.set_axis_off()
    plot.set_ylim(-0.12, 1.12)
    with written_whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150, metadata={"Software": None})


class _Axis:
    """One setting: where its values stand between 0 and 1, and how they are written."""

    def __init__(self, key: str, values: Sequence[str]) -> None:
        self.key = key
        self._numbers = [number for value in set(values) if (number := _number(value)) is not None]
        self._words: list[str] = []
        if len(self._numbers) < len(set(values)):
            self._words = sorted(set(values))
        low = min(self._numbers, default=0.0)
        self._logarithmic = low > 0 and math.log10(max(self._numbers) / low) > _DECADES

    def height(self, value: str) -> float:
        if self._words:
            return (self._words.index(value) + 0.5) / len(self._words)
        low, high, here = (
            math.log10(x) if self._logarithmic else x
            for x in (min(self._numbers), max(self._numbers), float(value))
        )
        return (here - low) / (high - low) if high > low else 0.5

    def draw(self, plot: Axes, position: int, align: str) -> None:
        plot.plot([position, position], [0, 1], color="black", linewidth=1, zorder=3)
        name = self.key.rsplit(".", 1)[-1].lstrip("+")
        plot.text(position, 1.08, name, ha="center", va="bottom", fontsize=10)
        for height, label in self._ticks():
            beside = position + (0.03 if align == "left" else -0.03)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            plot.text(beside, height, label, ha=align, va="center", fontsize=8, bbox=box, zorder=4)

    def _ticks(self) -> list[tuple[float, str]]:
        if self._words:
            return [(self.height(word), word) for word in self._words]
        shown = sorted(set(self._numbers))
        if len(shown) > 5:
            shown = [shown[0], shown[-1]]
        return [(self.height(repr(number)), f"{number:.4g}") for number in shown]


def _best_on_top(line: Line) -> float:
    return -math.inf if line[1] is None else line[1]


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
