"""Plots precision-recall and F-measure curves of runs that wrote `curves.json`.

The file holds `{test set: {"precision": […], "recall": […], "f": […]}}`, each a mean over the
set's images for the thresholds 0 to 255 of an 8-bit map.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from src.errors import UserError

from .groups import Group
from .runs import Run, read_json

CURVES = "curves.json"
_NEEDED = ("precision", "recall", "f")

Curve = dict[str, np.ndarray]


def plot(groups: Sequence[Group], test_set: str) -> bytes | None:
    """A PNG with both curves of each group, averaged over its seeds; None if no run has any.

    The same curves give the same bytes.
    """
    curves = {group.label: _average(group, test_set) for group in groups}
    drawn = {label: curve for label, curve in curves.items() if curve is not None}
    if not drawn:
        return None
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for label, curve in drawn.items():
        left.plot(curve["recall"], curve["precision"], label=label, linewidth=1.2)
        right.plot(np.arange(curve["f"].size), curve["f"], label=label, linewidth=1.2)
    _dress(left, "recall", "precision", f"{test_set}: precision-recall")
    _dress(right, "threshold", "F-measure, β² = 0.3", f"{test_set}: F-measure")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _average(group: Group, test_set: str) -> Curve | None:
    curves = [curve for run in group.runs if (curve := _read(run, test_set)) is not None]
    if not curves:
        return None
    return {name: np.mean([curve[name] for curve in curves], axis=0) for name in _NEEDED}


def _read(run: Run, test_set: str) -> Curve | None:
    path = run.folder / CURVES
    stored: Mapping[str, Sequence[float]] | None
    stored = read_json(path).get(test_set) if path.is_file() else None
    if stored is None:
        return None
    if any(name not in stored for name in _NEEDED) or len({len(stored[n]) for n in _NEEDED}) > 1:
        raise UserError(f"{path}: {test_set} needs {', '.join(_NEEDED)} of one length")
    return {name: np.asarray(stored[name], dtype=np.float64) for name in _NEEDED}


def _dress(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set(xlabel=x, ylabel=y, title=title, ylim=(0, 1.02))
    axes.grid(alpha=0.3)
