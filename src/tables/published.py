"""What the papers printed: the rows of `experiments/<paper>/published.csv`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from src.conf_path import EXPERIMENTS
from src.errors import UserError
from src.plain_data import read_csv

COLUMNS = (
    *("experiment", "trained_on", "set", "metric", "printed", "scale"),
    *("compares_with", "tolerance", "source", "note"),
)


class Published(NamedTuple):
    """One printed number.

    Attributes:
        experiment: The recipe it belongs to, `isnet/dis5k`.
        trained_on: Training sets of the paper's model, by our names; none where it is not stated.
        test_set: Name of the test set, or of a mean over several.
        metric: As the paper calls it, in our spelling.
        printed: Digit for digit.
        value: On our scale.
        compares_with: The metric of ours that follows the same protocol; None if none does.
        tolerance: How far a retrained model may be off; None where nothing is compared.
        source: Where the number was read.
        note: Misprints and doubts.
    """

    experiment: str
    trained_on: tuple[str, ...]
    test_set: str
    metric: str
    printed: str
    value: float
    compares_with: str | None
    tolerance: float | None
    source: str
    note: str


def load(experiments: Path = EXPERIMENTS) -> list[Published]:
    """Every published row. Raises UserError that names the file and the line of a bad one."""
    return [row for path in sorted(experiments.glob("*/published.csv")) for row in _read(path)]


def of(experiment: str, rows: Sequence[Published]) -> list[Published]:
    """The rows of an experiment that some metric of ours may be compared with."""
    return [row for row in rows if row.experiment == experiment and row.compares_with]


def _read(path: Path) -> list[Published]:
    rows = read_csv(path, "see docs/tables.md", COLUMNS)
    return [_parse(row, f"{path}:{number}") for number, row in enumerate(rows, 2)]


def _parse(row: dict[str, str], place: str) -> Published:
    try:
        value = round(float(row["printed"]) * float(row["scale"]), 10)
        tolerance = float(row["tolerance"]) if row["tolerance"] else None
        if not all(map(math.isfinite, (value, tolerance or 0))):
            raise ValueError("its number or tolerance is not finite")
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {error}") from error
    if bool(row["compares_with"]) != (tolerance is not None):
        raise UserError(f"{place}: give both compares_with and tolerance, or neither")
    return Published(
        experiment=row["experiment"],
        trained_on=tuple(row["trained_on"].split("+")) if row["trained_on"] else (),
        test_set=row["set"],
        metric=row["metric"],
        printed=row["printed"],
        value=value,
        compares_with=row["compares_with"] or None,
        tolerance=tolerance,
        source=row["source"],
        note=row["note"],
    )
