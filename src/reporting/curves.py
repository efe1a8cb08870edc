"""Plots precision-recall and F-measure curves of what was scored, over the thresholds 0 to 255."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.errors import UserError
from src.reporting.figures import figure_text, save_figure
from src.reporting.groups import Group
from src.results.folder import CURVE_NAMES

Curve = dict[str, np.ndarray]


def plot(groups: Sequence[Group], test_set: str, problems: list[str] | None = None) -> bytes | None:
    """A PNG with both curves of each group, averaged over its seeds; None if no run has any.

    The same curves give the same bytes. `problems` gains a line for each run whose curves are
    damaged and left out; without it, that is a UserError.
    """
    curves = {figure_text(group.label): _average(group, test_set, problems) for group in groups}
    drawn = {label: curve for label, curve in curves.items() if curve is not None}
    if not drawn:
        return None
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, curve in drawn.items():
        left.plot(curve["recall"], curve["precision"], label=label, linewidth=1.2)
        right.plot(np.arange(curve["f"].size), curve["f"], label=label, linewidth=1.2)
    _dress(left, "recall", "precision", f"{figure_text(test_set)}: precision-recall")
    _dress(right, "threshold", "F-measure, β² = 0.3", f"{figure_text(test_set)}: F-measure")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    return save_figure(figure, "png")


def _average(group: Group, test_set: str, problems: list[str] | None = None) -> Curve | None:
    curves = []
    for run in group.runs:
        try:
            curve = run.scored.curves.get(test_set)
        except UserError as error:
            if problems is None:
                raise
            problems.append(str(error))
            continue
        if curve is not None:
            curves.append(curve)
    if not curves:
        return None
    return {name: np.mean([curve[name] for curve in curves], axis=0) for name in CURVE_NAMES}


def _dress(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set(xlabel=x, ylabel=y, title=title, ylim=(0, 1.02))
    axes.grid(alpha=0.3)
