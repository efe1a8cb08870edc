"""Rates of the confusion matrix, by PySODMetrics' rules, and the areas under ROC and PR curves.

A rate has five forms. `max_` and `mean_`: of the curve over 256 thresholds, averaged over images
first. `adp_`: at twice the map's mean value. `bin_`: at > 0.5. `whole_`: at > 0.5, of the pixels of
all images of the set together. All follow from an image's histogram.

The maximum of an error (`max_ber`, `max_fpr`) is its worst threshold, and the maximum of recall and
specificity is 1 at the lowest and highest: the toolbox prints them, tables should show other forms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from src.metrics._maps import Counts, Curve
from src.metrics._record import MetricRecord, curve_variants, variants
from src.metrics.f_measure import f_of


@dataclass(frozen=True)
class Confusion:
    """The confusion matrices of a prediction at some thresholds; `...` may be images.

    A rate whose denominator is 0 is 0.

    Attributes:
        on: `(..., 2, T)`: background and foreground pixels that threshold `t` turns on.
        sides: `(..., 2)`: background and foreground pixels of the ground truth.
    """

    on: Counts
    sides: Counts

    @cached_property
    def tp(self) -> Counts:
        return np.asarray(self.on[..., 1, :])

    @cached_property
    def fp(self) -> Counts:
        return np.asarray(self.on[..., 0, :])

    @cached_property
    def fn(self) -> Counts:
        return np.asarray(self.sides[..., 1, None] - self.tp)

    @cached_property
    def tn(self) -> Counts:
        return np.asarray(self.sides[..., 0, None] - self.fp)

    @cached_property
    def precision(self) -> Curve:
        return ratio(self.tp, self.tp + self.fp)

    @cached_property
    def recall(self) -> Curve:
        return ratio(self.tp, self.tp + self.fn)

    @cached_property
    def specificity(self) -> Curve:
        return ratio(self.tn, self.tn + self.fp)

    @cached_property
    def accuracy(self) -> Curve:
        return ratio(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn)

    def kappa(self, beside: Counts) -> Curve:
        """Agreement beyond chance; the chance of a common "background" is (tn + fn)(tn + beside).

        In floating point: the square of the pixels leaves 64 bits from 3·10⁹ pixels on.
        """
        tp, fp, tn, fn = (x.astype(np.float64) for x in (self.tp, self.fp, self.tn, self.fn))
        chance = (tp + fp) * (tp + fn) + (tn + fn) * (tn + beside)
        chance = ratio(chance, (tp + fp + tn + fn) ** 2)
        return ratio(self.accuracy - chance, 1 - chance)


class Rate(NamedTuple):
    """A number of a confusion matrix.

    words: What it is, in protocols.
    of: Computes it, `(..., T)`.
    higher_is_better: The direction.
    heading_of_max: Of the column of its maximum, where the name could mean another rule.
    """

    words: str
    of: Callable[[Confusion], Curve]
    higher_is_better: bool = True
    heading_of_max: str = ""


RATES = {
    "f": Rate(
        "F, beta^2 0.3",
        lambda c: f_of(c.precision, c.recall),
        heading_of_max="max_f (mean of F curves)",
    ),
    "f1": Rate("F, beta^2 1", lambda c: f_of(c.precision, c.recall, beta_squared=1)),
    "precision": Rate("precision", lambda c: c.precision),
    "recall": Rate("recall (sensitivity, true positive rate)", lambda c: c.recall),
    "specificity": Rate("specificity (true negative rate)", lambda c: c.specificity),
    "fpr": Rate("false positive rate", lambda c: ratio(c.fp, c.tn + c.fp), False),
    "iou": Rate("IoU, 0 if both are empty", lambda c: ratio(c.tp, c.tp + c.fp + c.fn)),
    "dice": Rate(
        "Dice, 0 if both are empty", lambda c: ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)
    ),
    "ber": Rate(
        "balanced error rate, 1 - (recall + specificity) / 2",
        lambda c: 1 - (c.recall + c.specificity) / 2,
        False,
    ),
    "accuracy": Rate("share of right pixels", lambda c: c.accuracy),
    "kappa": Rate("Cohen's kappa", lambda c: c.kappa(c.fp)),
    "kappa_pysod": Rate(
        "PySODMetrics' kappa, which has tn + tp for Cohen's tn + fp", lambda c: c.kappa(c.tp)
    ),
}  # fmt: skip
AT_THRESHOLDS = "at 256 thresholds (>=)"
ADAPTIVE = "at a threshold (>=, exactly) of twice the mean, at most 1"
ADAPTIVE_VERSION = 2  # version 1 left a level exactly there to rounding
BINARY = "at > 0.5"
AREAS = {
    "roc": ("false positive rate, recall", "ROC"),
    "pr": ("recall, precision", "precision-recall"),
}


def ratio(part: Counts | Curve, whole: Counts | Curve) -> Curve:
    """`part / whole`, 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole != 0)


def area_under(kind: str, confusion: Confusion) -> Curve:
    """Area under the `roc` or `pr` curve, `(...)`, of matrices at rising thresholds.

    The points are the thresholds' alone, none is added at the ends; they are sorted by x, those of
    equal x by threshold, and joined by straight lines.
    """
    if kind == "roc":
        x, y = RATES["fpr"].of(confusion), confusion.recall
    else:
        x, y = confusion.recall, confusion.precision
    order = np.argsort(x, axis=-1, kind="stable")
    x, y = np.take_along_axis(x, order, -1), np.take_along_axis(y, order, -1)
    return np.asarray(((x[..., 1:] - x[..., :-1]) * (y[..., 1:] + y[..., :-1]) / 2).sum(axis=-1))


def _of_rate(name: str, rate: Rate) -> list[MetricRecord]:
    """All forms of a rate, each of the stretched prediction and raw."""
    better = rate.higher_is_better
    return [
        *curve_variants(
            suffix=name,
            kind=name,
            score=f"{rate.words}, {AT_THRESHOLDS}",
            heading_of_max=rate.heading_of_max,
            higher_is_better=better,
        ),
        *variants(
            name=f"adp_{name}",
            score=f"{rate.words}, {ADAPTIVE}",
            of_histogram=lambda one, raw: rate.of(one.adaptive(raw))[0],
            higher_is_better=better,
            version=ADAPTIVE_VERSION,
        ),
        *variants(
            name=f"bin_{name}",
            score=f"{rate.words}, {BINARY}",
            of_histogram=lambda one, raw: rate.of(one.curves(raw).binary)[0],
            higher_is_better=better,
        ),
        *variants(
            name=f"whole_{name}",
            score=f"{rate.words}, {BINARY}",
            reporting="of the pixels of all images together",
            of_histogram=lambda one, raw: rate.of(one.curves(raw).binary)[0],
            of_set=lambda images, raw: rate.of(images.all_pixels(raw))[0],
            higher_is_better=better,
        ),
    ]


def _of_area(kind: str) -> list[MetricRecord]:
    points, curve = AREAS[kind]
    return variants(
        name=f"auc_{kind}",
        score=f"area under the {curve} curve ({points}), {AT_THRESHOLDS}, no point added",
        of_histogram=lambda one, raw: float(area_under(kind, one.curves(raw).confusion)),
    )


RECORDS = [
    *(record for name, rate in RATES.items() for record in _of_rate(name, rate)),
    *(record for kind in AREAS for record in _of_area(kind)),
]
