"""What a metric is: its name, its protocol in five stages, how it is computed, how it is printed.

Each metric is one file of this package that lists its records as `RECORDS`; files whose name starts
with an underscore are machinery. Two numbers may share a table only if they were made by one
protocol: an id such as `max_f/1`, whose version rises when a change of this code changes a number.
"""

import difflib
import importlib
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import CommandError, UserError
from src.metrics._maps import Curve

if TYPE_CHECKING:  # numba, which takes its time, is only needed to score
    from src.metrics._image import ScoredHistogram, ScoredPair
    from src.metrics._summary import ImageSet

RAW = "_raw"
STRETCHED = "8 bit, min-max normalized per image"
UNSTRETCHED = "8 bit, v/255 as it is"
BINARY = "8 bit, > 128"
FOREGROUND = "ground truth > 128"
WHOLE_IMAGE = "all pixels of the image, at the ground truth's size"
OUTSIDE_VOID = "all pixels outside void, at the ground truth's size"
MEAN = "mean over images"
# Of the parts of a protocol, in the order in which a number is made.
STAGES = ("prediction", "target", "matching", "score", "reporting")


@dataclass(frozen=True)
class Kept:
    """Numbers of an image that a data set's value needs and its histogram does not give.

    Attributes:
        name: Metrics that keep the same under one name keep it once.
        size: How many numbers.
        of_image: The numbers of one pair, `(size,)`.
    """

    name: str
    size: int
    of_image: "Callable[[ScoredPair], Curve]"


@dataclass(frozen=True, kw_only=True)
class MetricRecord:
    """One metric. The five stages of its protocol say everything that changes the number.

    Attributes:
        name: As configs, results and tables call it: small letters, digits and underscores.
        prediction: Stage 1, what is made of the predicted map.
        target: Stage 2, what is foreground in the ground truth.
        matching: Stage 3, which pixels are compared with which.
        score: Stage 4, what is computed of an image.
        reporting: Stage 5, how a data set's number is made of its images'.
        of_image: The metric of one pair; None for metrics that no single map has (of clicks).
        of_histogram: Given instead of `of_image`, which it then is too, where the image's histogram
            says all: stored results gain such a metric without the maps, see `score_histograms`.
        of_set: A data set's value from its images; None for the mean of the images on which it is
            defined.
        kept: What `of_set` needs of each image beside its value and histogram.
        soft_target: It compares with the ground truth's gray values and binarizes nothing.
        needs_trimap: It is of an image with a trimap.
        higher_is_better: The direction.
        counts: It counts things instead of lying in [0, 1]: tables print one decimal.
        may_be_undefined: NaN is a value, of images that are left out of the mean and counted.
        heading: Of a column, where the name alone could be taken for another rule.
        version: Of the code's meaning of the protocol.

    Raises:
        UserError: A stage without words, a name that no table can hold, a version below 1.
    """

    name: str
    prediction: str
    target: str = FOREGROUND
    matching: str = WHOLE_IMAGE
    score: str
    reporting: str = MEAN
    of_image: "Callable[[ScoredPair], float] | None" = None
    of_histogram: "Callable[[ScoredHistogram], float] | None" = None
    of_set: "Callable[[ImageSet, str], float] | None" = None
    kept: Kept | None = None
    soft_target: bool = False
    needs_trimap: bool = False
    higher_is_better: bool = True
    counts: bool = False
    may_be_undefined: bool = False
    heading: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        words = self.name.replace("_", "")
        if not (words.isalnum() and words.isascii() and self.name == self.name.lower()):
            raise UserError(f"a metric cannot be called {self.name!r}: use a-z, 0-9 and _")
        if empty := [stage for stage in STAGES if not str(getattr(self, stage)).strip()]:
            raise UserError(f"metric {self.name}: its protocol lacks {', '.join(empty)}")
        if self.version < 1:
            raise UserError(f"metric {self.name}: version {self.version} is below 1")
        if self.of_histogram is not None:
            if self.of_image is not None:
                raise UserError(f"metric {self.name}: give of_histogram or of_image, not both")
            object.__setattr__(self, "of_image", self.of_histogram)

    @property
    def id(self) -> str:
        """Short name of the protocol, `max_f/1`."""
        return f"{self.name}/{self.version}"

    @property
    def protocol(self) -> str:
        """The protocol in one line, with its id: equal ids mean comparable numbers."""
        return f"{self.id}: {'; '.join(getattr(self, stage) for stage in STAGES)}"

    def score_of(self, pair: "ScoredPair") -> float:
        """The metric of one pair, a single number; NaN where it is undefined.

        Raises:
            UserError: A metric of clicks, or a function that returned no number.
        """
        if self.of_image is None:
            raise UserError(
                f"{self.name} is not of one map but of clicks: metrics.clicks=20 simulates them, "
                "src.evaluation.clicks does for any network"
            )
        return self._checked(self.of_image(pair))

    def score_of_histogram(self, histogram: "ScoredHistogram") -> float:
        """The metric of an image of which only the histogram is at hand.

        Raises:
            UserError: It does not follow from the histogram, or the function returned no number.
        """
        if self.of_histogram is None:
            raise UserError(
                f"{self.name} does not follow from an image's histogram: score the maps by it"
            )
        return self._checked(self.of_histogram(histogram))

    def _checked(self, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UserError(
                f"metric {self.name} returned {type(value).__name__} and not one number"
            ) from None
        if math.isinf(number) or (math.isnan(number) and not self.may_be_undefined):
            raise UserError(f"metric {self.name} is {number} on an image")
        return number


def variants(
    *,
    name: str,
    of_image: "Callable[[ScoredPair, bool], float] | None" = None,
    of_histogram: "Callable[[ScoredHistogram, bool], float] | None" = None,
    of_set: "Callable[[ImageSet, bool], float] | None" = None,
    kept: Callable[[bool], Kept] | None = None,
    heading: str = "",
    **stages: Any,
) -> list[MetricRecord]:
    """The records `name`, of the stretched prediction, and `name_raw`, of the values as they are.

    Args:
        name: Of the first.
        of_image: Gets the pair and whether the values are taken as they are.
        of_histogram: The same of a histogram.
        of_set: Gets the set and the same.
        kept: Says what is kept, for either.
        heading: Of the first's column.
        stages: The other fields of both records.
    """

    def variant(raw: bool) -> MetricRecord:
        return MetricRecord(
            name=name + RAW * raw,
            prediction=UNSTRETCHED if raw else STRETCHED,
            of_image=None if of_image is None else lambda pair: of_image(pair, raw),
            of_histogram=None if of_histogram is None else lambda one: of_histogram(one, raw),
            of_set=None if of_set is None else lambda images, _: of_set(images, raw),
            kept=None if kept is None else kept(raw),
            heading="" if raw else heading,
            **stages,
        )

    return [variant(raw=False), variant(raw=True)]


# How a curve over thresholds becomes a number: form, word, function.
STATISTICS: tuple[tuple[str, str, Callable[[Any], float]], ...] = (
    ("max", "maximum", np.max),
    ("mean", "mean", np.mean),
)


def curve_variants(
    *, suffix: str, kind: str, score: str, heading_of_max: str = "", **stages: Any
) -> list[MetricRecord]:
    """The records of a curve over thresholds: `max_<suffix>` and `mean_<suffix>`, each also raw.

    Args:
        suffix: Of the names.
        kind: Which of the curves of `ThresholdCurves`.
        score: What such a curve is.
        heading_of_max: Of the first's column.
        stages: The other fields of the records.
    """

    def of(form: str, word: str, statistic: Callable[[Any], float]) -> list[MetricRecord]:
        return variants(
            name=f"{form}_{suffix}",
            score=score,
            reporting=f"curves averaged over images, then the {word}",
            heading=heading_of_max if form == "max" else "",
            of_histogram=lambda one, raw: statistic(one.curves(raw).curve(kind)),
            of_set=lambda images, raw: statistic(images.mean_curve(kind, raw)),
            **stages,
        )

    return [record for statistic in STATISTICS for record in of(*statistic)]


@cache
def records() -> Mapping[str, MetricRecord]:
    """All metrics by name, in the order of the files' names.

    Raises:
        UserError: A file without records, or two metrics of one name.
    """
    found: dict[str, MetricRecord] = {}
    for module in sorted(
        found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    ):
        if module.startswith("_") or module == "kernels":
            continue
        listed = getattr(importlib.import_module(f"src.metrics.{module}"), "RECORDS", None)
        if not listed:
            raise UserError(
                f"src/metrics/{module}.py has no RECORDS; name it _{module}.py if it is no metric"
            )
        for record in listed:
            if not isinstance(record, MetricRecord):
                raise UserError(f"src/metrics/{module}.py: RECORDS has {record!r}, no MetricRecord")
            if record.name in found:
                raise UserError(f"two metrics are called {record.name}; src/metrics/{module}.py")
            found[record.name] = record
    return found


# Of other packages, as this process's config names them; see `_foreign.py`.
_foreign: dict[str, MetricRecord] = {}


def replace_foreign(records: Iterable[MetricRecord]) -> None:
    """Make these the only metrics that `record` knows beside finecut's own."""
    found = {one.name: one for one in records}
    _foreign.clear()
    _foreign.update(found)


def record(name: str) -> MetricRecord:
    """A metric by name. Raises UserError for a name that there is not, with those most alike."""
    known = _known(name)
    if known is None:
        names = [*records(), *_foreign]
        alike = ", ".join(difflib.get_close_matches(name, names, 5, 0.5))
        asked = f"did you mean one of {alike}? " if alike else ""
        raise CommandError(f"no metric {name!r}; {asked}docs/protocols.md lists all {len(names)}")
    return known


def _known(name: str) -> MetricRecord | None:
    return records().get(name) or _foreign.get(name)


def needing_trimap(names: Iterable[str]) -> list[str]:
    """Those of some metrics that are of images with a trimap. Raises UserError as `record`."""
    return [name for name in names if record(name).needs_trimap]


def require_no_trimap(names: Iterable[str]) -> None:
    """Refuse metrics of images with a trimap, where there are but images and masks.

    Raises:
        UserError: a name is such a metric's, or none's.
    """
    for name in needing_trimap(names):
        raise CommandError(
            f"metric {name} needs a trimap for each image, which data sets do not have: "
            "finecut evaluate maps=… trimaps=… scores predicted maps with them"
        )


def describe(name: str) -> str:
    """The protocol of a metric in one line, with its id."""
    return record(name).protocol


LOWER_IS_BETTER = "lower is better"  # how the protocol of a foreign metric may end


def higher_is_better(name: str, protocol: str = "") -> bool:
    """Whether a greater number is a better one.

    Args:
        name: Of the metric; it may be one that this process lacks.
        protocol: As stored beside the number: it says the direction of foreign metrics.
    """
    known = _known(name)
    return known.higher_is_better if known else not protocol.endswith(LOWER_IS_BETTER)


def require_same(ours: Mapping[str, str], theirs: Mapping[str, str], names: Iterable[str]) -> None:
    """Refuse to put numbers of two protocols side by side.

    The id decides where a protocol has one: its words may become clearer, its version may not stay
    when a number changes.

    Args:
        ours: `describe(name)` by metric, as stored beside the numbers.
        theirs: The same of the other numbers.
        names: The metrics to be compared.

    Raises:
        UserError: the protocols of a metric differ or one is missing; both are shown.
    """
    for name in names:
        left, right = ours.get(name, "not stored"), theirs.get(name, "not stored")
        if name not in ours or not is_same_protocol(name, left, right):
            raise UserError(
                f"{name} was computed by two protocols and must not be compared:\n"
                f"  {left}\n  {right}\nScore both again with one version of finecut."
            )


def is_same_protocol(name: str, ours: str, theirs: str) -> bool:
    """Whether two stored protocols of a metric are one: by their ids where they have any."""
    return _id_of(name, ours) == _id_of(name, theirs)


def _id_of(name: str, text: str) -> str:
    identity, separator, _ = text.partition(": ")
    is_registered = separator and name in records() and identity.rpartition("/")[0] == name
    return identity if is_registered else text
