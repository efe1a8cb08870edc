"""From images to a data set: which measures average values, and which average curves first."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from src.metrics.f_measure import f_of, f_of_dis, precision_recall_dis
from src.metrics.image_score import Curves, ImageResult
from src.metrics.interactive import mean_recall, mean_recall_volume
from src.metrics.protocol import RAW

Curve = npt.NDArray[np.float64]


def summarize(scores: Sequence[ImageResult], names: Sequence[str]) -> dict[str, float]:
    """The value of each measure over a data set.

    Sums run in the order of `scores`: the same order gives the same bits. Images on which a
    measure is undefined (`mba` without a boundary) are left out of it; `undefined` counts them.

    Args:
        scores: One per image.
        names: Measures that each image was scored by.
    """
    curves = {raw: [Curves(one.histogram, raw) for one in scores] for raw in _needed(names)}
    return {name: _value(name, scores, curves) for name in names}


def mean_curves(scores: Sequence[ImageResult]) -> dict[str, Curve]:
    """`precision`, `recall` and `f` `(256,)`, each averaged over images; lowest threshold first."""
    images = [Curves(one.histogram) for one in scores]
    precision, recall = _mean_pair([one.precision_recall for one in images])
    return {"precision": precision, "recall": recall, "f": _mean([one.f for one in images])}


def undefined(scores: Sequence[ImageResult], names: Sequence[str]) -> dict[str, int]:
    """Images left out of a measure because it is undefined there, where there are any."""
    counts = {name: sum(np.isnan(one.values[name]) for one in scores) for name in names}
    return {name: int(count) for name, count in counts.items() if count}


def degenerate(scores: Sequence[ImageResult]) -> dict[str, int]:
    """How many images have an empty truth, a full truth, or a prediction of one grey level."""
    sides = [one.histogram.sum(axis=1) for one in scores]
    levels = [np.count_nonzero(one.histogram.any(axis=0)) for one in scores]
    return {
        "empty truth": sum(int(foreground == 0) for _, foreground in sides),
        "full truth": sum(int(background == 0) for background, _ in sides),
        "constant prediction": sum(int(count == 1) for count in levels),
    }


def _value(name: str, scores: Sequence[ImageResult], curves: dict[bool, list[Curves]]) -> float:
    base, raw = name.removesuffix(RAW), name.endswith(RAW)
    if not scores:
        return float("nan")
    if base in _OF_CURVES:
        return float(_OF_CURVES[base](curves[raw]))
    if base in _OF_CATEGORIES:
        ious = [one.values[name] for one in scores]
        return _OF_CATEGORIES[base](ious, [one.category for one in scores])
    if base == "max_f_dis_255":
        pairs = [precision_recall_dis(one.histogram) for one in scores]
        return float(f_of_dis(*_mean_pair(pairs)).max())
    values = np.array([one.values[name] for one in scores])
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _needed(names: Sequence[str]) -> set[bool]:
    return {name.endswith(RAW) for name in names if name.removesuffix(RAW) in _OF_CURVES}


def _mean(curves: Sequence[Curve]) -> Curve:
    return np.asarray(np.mean(curves, axis=0))


def _mean_pair(pairs: Sequence[tuple[Curve, Curve]]) -> tuple[Curve, Curve]:
    return _mean([precision for precision, _ in pairs]), _mean([recall for _, recall in pairs])


_OF_CURVES: dict[str, Callable[[list[Curves]], float]] = {
    "max_f": lambda images: _mean([one.f for one in images]).max(),
    "mean_f": lambda images: _mean([one.f for one in images]).mean(),
    "max_f_dis": lambda images: f_of(*_mean_pair([one.precision_recall for one in images])).max(),
    "max_e": lambda images: _mean([one.e for one in images]).max(),
    "mean_e": lambda images: _mean([one.e for one in images]).mean(),
    "max_iou": lambda images: _mean([one.iou for one in images]).max(),
    "mean_iou": lambda images: _mean([one.iou for one in images]).mean(),
}
_OF_CATEGORIES: dict[str, Callable[[list[float], list[int]], float]] = {
    "mapr_50": lambda ious, categories: mean_recall(ious, categories, 0.5),
    "mapr_70": lambda ious, categories: mean_recall(ious, categories, 0.7),
    "mapr_vol": mean_recall_volume,
}
