"""Size-invariant metrics (Li et al., "Size-invariance matters", ICML 2024), as in PySODMetrics.

Each object of an image counts alike, however small. Objects are the 4-connected parts of the ground
truth of 50 pixels or more; where none is that large, the largest ones; without foreground, the
image. An object is scored in its bounding box, in which other objects' pixels are foreground too;
outside the box both maps are set to 0 and count, which flatters accuracy and the like.

Maxima and means are taken for each object, then averaged over the objects of an image, then over
images. PySODMetrics has no value for a ground truth that is all foreground, for 64 and more
objects, and no `si_mae` for boxes that cover the image; here they have what its rule tends to.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from src.metrics._joint_histogram import adaptive_levels, threshold_counts
from src.metrics._maps import FOREGROUND_ABOVE, Curve, Levels
from src.metrics._record import RAW, STATISTICS, Kept, MetricRecord, variants
from src.metrics.confusion_matrix import (
    ADAPTIVE,
    ADAPTIVE_VERSION,
    AREAS,
    AT_THRESHOLDS,
    BINARY,
    RATES,
    Confusion,
    Rate,
    area_under,
)
from src.metrics.mae import mean_absolute_error

if TYPE_CHECKING:
    from src.metrics._image import ScoredPair
    from src.metrics.kernels.boxes import Boxes

SMALLEST = 50  # pixels of an object that counts
_TOGETHER = 256  # objects whose histograms are held at once


def find_objects(pair: "ScoredPair") -> "Boxes":
    """Boxes of the objects, `(n, 4)`: left, top, width, height."""
    mask = (pair.target > FOREGROUND_ABOVE).view(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    parts = statistics[1:]
    if not len(parts):
        height, width = mask.shape
        return np.array([[0, 0, width, height]], np.int32)
    areas = parts[:, cv2.CC_STAT_AREA]
    return np.asarray(parts[areas >= min(SMALLEST, areas.max())][:, :4])


class ObjectScores(NamedTuple):
    """Scores of an image's objects.

    Attributes:
        values: Averages over the objects, by name without `si`: `max_f`, `auc_roc`, `mae` …
        sums: `(261,)`, what a set's values over all objects alike are made of: the sum of F curves,
            of pixels `(2,)` that are on at > 0.5, of pixels `(2,)` in all, and of objects.
    """

    values: dict[str, float]
    sums: Curve


def score_objects(pair: "ScoredPair", raw: bool) -> ObjectScores:
    """Score all objects, some hundreds at a time: noise may have a million."""
    from src.metrics.kernels.boxes import outside_histogram  # numba, once a map is scored

    boxes, levels = find_objects(pair), pair.curves(raw).levels
    sums = np.zeros(_SIZE)
    totals: dict[str, float] = {}
    for first in range(0, len(boxes), _TOGETHER):
        of_portion = _score_portion(pair, boxes[first : first + _TOGETHER], levels, sums)
        for name, of_objects in of_portion.items():
            totals[name] = totals.get(name, 0.0) + float(of_objects.sum())
    errors = totals.pop("mae")
    values = {name: total / len(boxes) for name, total in totals.items()}
    outside = outside_histogram(pair.prediction, pair.target, boxes)
    share, size = int(outside.sum()), pair.target.size
    if share > 0:
        weight = share / (size - share)
        errors = (errors + weight * mean_absolute_error(outside, levels)) / (len(boxes) + weight)
    else:
        errors /= len(boxes)
    return ObjectScores(values | {"mae": errors}, sums)


def _score_portion(
    pair: "ScoredPair", boxes: "Boxes", levels: Levels, sums: Curve
) -> dict[str, Curve]:
    """The values of each object, `(n,)`, by name; adds to the sums."""
    from src.metrics.kernels.boxes import box_histograms

    histograms = box_histograms(pair.prediction, pair.target, boxes)
    inside = histograms.sum(axis=(1, 2))
    values = {"mae": (histograms[:, 0] @ levels + histograms[:, 1] @ (1 - levels)) / inside}
    histograms[:, 0, 0] += pair.target.size - inside  # what is outside: 0 in both maps
    sides = histograms.sum(axis=2)
    curves = Confusion(threshold_counts(histograms, levels), sides)
    adaptive = np.stack(
        [histogram[:, adaptive_levels(histogram, levels)].sum(axis=1) for histogram in histograms]
    )
    binary = histograms[:, :, levels > 0.5].sum(axis=2)
    for name, rate in RATES.items():
        curve = rate.of(curves)
        values |= {f"max_{name}": curve.max(axis=1), f"mean_{name}": curve.mean(axis=1)}
        values[f"adp_{name}"] = rate.of(Confusion(adaptive[..., None], sides))[:, 0]
        values[f"bin_{name}"] = rate.of(Confusion(binary[..., None], sides))[:, 0]
    values |= {f"auc_{kind}": area_under(kind, curves) for kind in AREAS}
    sums[:256] += RATES["f"].of(curves).sum(axis=0)
    sums[256:258] += binary.sum(axis=0)
    sums[258:260] += sides.sum(axis=0)
    sums[260] += len(boxes)
    return values


def _value(name: str) -> "Callable[[ScoredPair, bool], float]":
    return lambda pair, raw: pair.share(score_objects, raw).values[name]


def _of_rate(name: str, rate: Rate) -> list[MetricRecord]:
    """All forms of a rate, each of the stretched prediction and raw."""
    forms = {form: f"{AT_THRESHOLDS}, the {word}" for form, word, _ in STATISTICS}
    forms |= {"adp": ADAPTIVE, "bin": BINARY}
    return [
        record
        for form, words in forms.items()
        for record in variants(
            name=f"{form}_si_{name}",
            matching=_BOXES,
            score=f"{rate.words}, {words}; mean over the image's objects",
            higher_is_better=rate.higher_is_better,
            of_image=_value(f"{form}_{name}"),
            version=ADAPTIVE_VERSION if form == "adp" else 1,
        )
    ]


def _of_mean_curve(statistic: Callable[[Curve], float]) -> Callable[[Curve], float]:
    return lambda sums: float(statistic(sums[:256] / sums[260]))


def _f_of_all(sums: Curve) -> float:
    on, sides = sums[256:258].astype(np.int64), sums[258:260].astype(np.int64)
    return float(RATES["f"].of(Confusion(on[:, None], sides))[0])


def _over_objects(
    name: str, score: str, reporting: str, of_sums: Callable[[Curve], float]
) -> list[MetricRecord]:
    """A metric to which every object of the set counts alike."""
    return variants(
        name=name,
        matching=_BOXES,
        score=score,
        reporting=reporting,
        of_image=lambda pair, raw: of_sums(pair.share(score_objects, raw).sums),
        of_set=lambda images, raw: of_sums(
            np.asarray(np.sum(images.kept("si_f" + RAW * raw), axis=0))
        ),
        kept=lambda raw: Kept(
            "si_f" + RAW * raw, _SIZE, lambda pair: pair.share(score_objects, raw).sums
        ),
    )


_SIZE = 256 + 2 + 2 + 1
_BOXES = (
    "all pixels, both maps 0 outside the object's box; "
    f"objects: 4-connected parts of at least {SMALLEST} pixels, or else the largest"
)
RECORDS = [
    *variants(
        name="si_mae",
        matching="the boxes of the objects, and all that is outside them",
        score="mean absolute error, mean over the boxes and, by its area, the outside",
        higher_is_better=False,
        of_image=_value("mae"),
    ),
    *(record for name, rate in RATES.items() for record in _of_rate(name, rate)),
    *(
        record
        for kind, (points, curve) in AREAS.items()
        for record in variants(
            name=f"si_auc_{kind}",
            matching=_BOXES,
            score=f"area under the {curve} curve ({points}), {AT_THRESHOLDS}, no point added; "
            "mean over the image's objects",
            of_image=_value(f"auc_{kind}"),
        )
    ),
    *(
        record
        for form, word, statistic in STATISTICS
        for record in _over_objects(
            f"{form}_si_f_targets",
            f"{RATES['f'].words}, {AT_THRESHOLDS}",
            f"curves averaged over all objects of all images, then the {word}",
            _of_mean_curve(statistic),
        )
    ),
    *_over_objects(
        "whole_si_f",
        f"{RATES['f'].words}, {BINARY}",
        "of the pixels of all objects of all images together",
        _f_of_all,
    ),
]
