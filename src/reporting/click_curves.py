"""Plots the mean IoU against clicks, of runs that wrote `clicks.json`, or of curves at hand."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from src.errors import UserError
from src.metrics import CLICKS_FILE, STARTS, ClickCurves, read_click_curves
from src.metrics.number_of_clicks import MAX_CLICKS
from src.reporting.figures import FORMATS, figure_text, save_figure
from src.reporting.groups import Group

_TARGETS = (0.85, 0.9)

Line = tuple[np.ndarray, np.ndarray]  # clicks, and the mean IoU after them


def plot_clicks(
    groups: Sequence[Group], test_set: str, problems: list[str] | None = None
) -> dict[str, bytes]:
    """The figure of a data set by format, each group averaged over its seeds; none without curves.

    `problems` gains a line for each run whose curves are damaged or begin elsewhere than those of
    its group's first seed, and are left out; without it, that is a UserError.
    """
    lines = {group.label: _average(group, test_set, problems) for group in groups}
    return _drawn({label: line for label, line in lines.items() if line is not None}, test_set)


def plot_click_curves(curves: Mapping[str, ClickCurves], title: str) -> dict[str, bytes]:
    """The figure of curves by the names of their methods: PNG, PDF and SVG, by these endings."""
    return _drawn({label: _line(one) for label, one in curves.items()}, title)


def _average(group: Group, test_set: str, problems: list[str] | None) -> Line | None:
    lines: list[Line] = []
    for run in group.runs:
        try:
            path = run.folder / CLICKS_FILE
            found = read_click_curves(run.folder).get(test_set) if path.is_file() else None
            if found is None:
                continue
            line = _line(found)
            if lines and not np.array_equal(lines[0][0], line[0]):
                raise UserError(f"{path}: {test_set} has other clicks than the seed before it")
            lines.append(line)
        except UserError as error:
            if problems is None:
                raise
            problems.append(str(error))
    if not lines:
        return None
    return lines[0][0], np.mean([ious for _, ious in lines], axis=0)


def _line(curves: ClickCurves) -> Line:
    clicks = np.arange(STARTS[curves.start].first, curves.clicks + 1)
    return clicks, curves.ious.mean(axis=0, dtype=np.float64)


def _drawn(lines: Mapping[str, Line], title: str) -> dict[str, bytes]:
    if not lines:
        return {}
    figure = Figure(figsize=(5.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for label, (clicks, ious) in lines.items():
        axes.plot(clicks, ious, label=figure_text(label), linewidth=1.2, marker=".", markersize=4)
    for target in _TARGETS:
        axes.axhline(target, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(xlabel="clicks", ylabel="mean IoU", title=figure_text(title))
    axes.set(xlim=(0.5, MAX_CLICKS + 0.5), ylim=(0, 1.02), xticks=[1, *range(5, MAX_CLICKS + 1, 5)])
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8)
    return {name: save_figure(figure, name) for name in FORMATS}
