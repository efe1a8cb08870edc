"""Precision-recall, F, E and IoU curves of several methods on a data set, in one figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from src.evaluation.report import MethodScores
from src.metrics import ImageSet
from src.reporting.figures import FORMATS, figure_text, save_figure

_OVER_THRESHOLDS = (("f", "F-measure, β² = 0.3"), ("e", "E-measure"), ("iou", "IoU"))


def plot_methods(
    methods: Sequence[MethodScores], test_set: str, emphasize: str | None = None
) -> dict[str, bytes]:
    """The figure of a data set by format: PNG, PDF and SVG; none where no method was scored on it.

    Curves follow from the histograms: averages over images at the thresholds 0 to 255 of maps that
    are stretched to the full range.

    Args:
        methods: Those that were scored on it are drawn.
        test_set: The data set.
        emphasize: Method whose line is thick and in front.
    """
    drawn = [one for one in methods if test_set in one.by_set]
    if not drawn:
        return {}
    figure = Figure(figsize=(10, 8.4), layout="constrained")
    (left, *others), row = figure.subplots(2, 2)
    panels = [*others, *row]
    for one in drawn:
        images = ImageSet(one.by_set[test_set])
        own = one.method == emphasize
        style = {"linewidth": 2.6 if own else 1.0, "zorder": 3 if own else 2}
        precision, recall = images.mean_precision_recall()
        left.plot(recall, precision, label=figure_text(one.method), **style)
        for axes, (kind, _) in zip(panels, _OVER_THRESHOLDS, strict=True):
            curve = images.mean_curve(kind)
            axes.plot(np.arange(curve.size), curve, **style)
    left.set(xlabel="recall", ylabel="precision")
    for axes, (_, label) in zip(panels, _OVER_THRESHOLDS, strict=True):
        axes.set(xlabel="threshold", ylabel=label)
    for axes in (left, *panels):
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.3)
    figure.suptitle(figure_text(test_set))
    names = left.get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=min(6, len(drawn)), fontsize=8)
    return {name: save_figure(figure, name) for name in FORMATS}
