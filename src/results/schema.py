"""The files of a folder with results, and what their contents are as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge
from pydantic import AllowInfNan, Strict, StrictBool, StrictStr

RESULTS = "results.json"
PER_IMAGE = "per_image.csv"
HISTOGRAMS = "histograms.npz"
CURVES = "curves.json"
KEPT = "kept.npz"
PROVENANCE = "provenance.json"
TABLE = "results.md"
# Beside the numbers of a folder of maps, before there was one schema.
OLD_PROTOCOL = "protocol.json"
# Whose checksums the provenance holds: empty of a file that is not there.
CHECKED = (RESULTS, PER_IMAGE, HISTOGRAMS, CURVES, KEPT)

# Of the files' shape. 1, which no file states: no histograms, and `protocol.json` of scored maps.
# A file or a field that readers may do without (`kept.npz`) raises no number: old and new readers
# take both.
SCHEMA = 2
Kind = Literal["run", "checkpoint", "maps"]
NO_METHOD = ""

Count = Annotated[int, Strict(), Ge(0)]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Values = npt.NDArray[np.float64]
Histograms = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Code:
    """The code that made the numbers; None where git does not say."""

    commit: StrictStr | None = None
    dirty: StrictBool | None = None


@dataclass(frozen=True)
class DataPart:
    """What identifies the files of one part of the data, such as `train` or `test/DIS-VD`.

    Attributes:
        sets: Names of the data sets in it.
        count: Images.
        sha256: Of names and sizes of images and masks, or of what else identifies them.
        targets: SHA-256 of names and sizes of the ground-truth files alone.
        trimaps: SHA-256 of names and contents of the trimaps that mattes were scored with.
    """

    sets: list[StrictStr] | None = None
    count: Count | None = None
    sha256: StrictStr | None = None
    targets: StrictStr | None = None
    trimaps: StrictStr | None = None


@dataclass(frozen=True)
class TestedCheckpoint:
    """The checkpoint that was scored: its file, the hash of it and that of the weights in it."""

    path: StrictStr | None = None
    sha256: StrictStr | None = None
    weights: StrictStr | None = None


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of a folder come from: `provenance.json`.

    Attributes:
        schema: Of the folder's files.
        kind: Whether a run trained, a checkpoint was scored, or a folder of maps.
        method: What tables call it.
        protocol: How each metric was computed, in words that begin with the protocol's id.
        images: How many images of each data set were scored.
        degenerate: Of each set, how many images have an empty or full target or a constant map.
        undefined: Of each set, how many images a metric leaves out because it is undefined there.
        partial: `{data set: "3 of 5"}` where images were left out.
        left_out: The files that were left out, and why.
        notices: How many images each notice is about, such as maps that were resized.
        finecut: The version that scored.
        git: The state of its code.
        data: What identifies each part of the data; None for parts without files.
        weights: Hashes of the files that a run started from or learned from.
        checkpoint: What was scored; None for maps.
        files: SHA-256 of the folder's other files.
        finished: Whether a run came to its end.
    """

    schema: Count
    kind: Kind
    method: StrictStr = NO_METHOD
    protocol: dict[StrictStr, StrictStr] = field(default_factory=dict)
    images: dict[StrictStr, Count] = field(default_factory=dict)
    degenerate: dict[StrictStr, dict[StrictStr, Count]] = field(default_factory=dict)
    undefined: dict[StrictStr, dict[StrictStr, Count]] = field(default_factory=dict)
    partial: dict[StrictStr, StrictStr] = field(default_factory=dict)
    left_out: list[StrictStr] = field(default_factory=list)
    notices: dict[StrictStr, Count] = field(default_factory=dict)
    finecut: StrictStr = ""
    git: Code = field(default_factory=Code)
    data: dict[StrictStr, DataPart | None] = field(default_factory=dict)
    weights: dict[StrictStr, StrictStr | None] = field(default_factory=dict)
    checkpoint: TestedCheckpoint | None = None
    files: dict[StrictStr, StrictStr] = field(default_factory=dict)
    finished: StrictBool = False


@dataclass(frozen=True)
class ImageTable:
    """The images of one data set, in the order of `per_image.csv`.

    Attributes:
        names: `(n,)` names.
        values: `{metric: (n,)}`; NaN where a metric is undefined on an image. Metrics that other
            sets of the folder have and this one lacks are not there.
    """

    names: tuple[str, ...]
    values: Mapping[str, Values]
