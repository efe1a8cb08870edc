"""What the papers printed, `experiments/<paper>/published.csv`, as values and as Markdown."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from src.errors import UserError, exit_on_user_error
from src.paths import EXPERIMENTS
from src.plain_data import read_csv
from src.render import Markdown, markdown_table
from src.reporting.runs import belongs

COLUMNS = (
    *("experiment", "trained_on", "set", "metric", "printed", "scale"),
    *("compares_with", "tolerance", "source", "note"),
)
UNCOMPARED = "nothing of ours is compared with it"


class ReportedResult(NamedTuple):
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


def load(experiments: Path = EXPERIMENTS) -> list[ReportedResult]:
    """Every published row. Raises UserError that names the file and the line of a bad one."""
    return [row for path in sorted(experiments.glob("*/published.csv")) for row in _read(path)]


def of(experiment: str, rows: Sequence[ReportedResult]) -> list[ReportedResult]:
    """The rows of an experiment that some metric of ours may be compared with."""
    return [row for row in rows if row.experiment == experiment and row.compares_with]


def _read(path: Path) -> list[ReportedResult]:
    rows = read_csv(path, "see docs/tables.md", COLUMNS)
    return [_parse(row, f"{path}:{number}") for number, row in enumerate(rows, 2)]


def _parse(row: dict[str, str], place: str) -> ReportedResult:
    try:
        value = round(float(row["printed"]) * float(row["scale"]), 10)
        tolerance = float(row["tolerance"]) if row["tolerance"] else None
        if not all(map(math.isfinite, (value, tolerance or 0))):
            raise ValueError("its number or tolerance is not finite")
    except (TypeError, ValueError) as error:
        raise UserError(f"{place}: {error}") from error
    if bool(row["compares_with"]) != (tolerance is not None):
        raise UserError(f"{place}: give both compares_with and tolerance, or neither")
    return ReportedResult(
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


def printed(paper: str) -> str:
    """A table for each recipe, test sets by metrics, with the digits of the paper, then the notes.

    Raises UserError that lists the papers if there is none of that name.
    """
    rows = [row for row in load() if row.experiment and belongs(row.experiment, paper)]
    if not rows:
        raise UserError(f"no printed numbers of {paper!r}; there are {', '.join(papers())}")
    notes: dict[str, str] = {}
    recipes = dict.fromkeys(row.experiment for row in rows)
    parts = [_table([row for row in rows if row.experiment == recipe], notes) for recipe in recipes]
    legend = "".join(f"- {label.strip()} {note}\n" for note, label in notes.items())
    return "\n".join([*parts, legend] if legend else parts)


def papers() -> list[str]:
    """Folders of `experiments/` with printed numbers of a recipe."""
    return list(dict.fromkeys(row.experiment.split("/")[0] for row in load() if row.experiment))


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    print(printed(" ".join(words)) if words else "\n".join(papers()) + "\n", end="")
    return 0


def _table(rows: Sequence[ReportedResult], notes: dict[str, str]) -> str:
    """One recipe's numbers; `notes`, from text to label, grows by what they refer to."""
    ours = {row.metric: row.compares_with for row in rows if row.compares_with}
    compared = {(row.test_set, row.metric, row.printed) for row in rows if row.compares_with}
    columns: dict[str, list[ReportedResult]] = {}
    for row in rows:  # a repetition of a compared number, digit for digit, is left out
        if row.compares_with or (row.test_set, row.metric, row.printed) not in compared:
            columns.setdefault(ours.get(row.metric) or row.metric, []).append(row)
    head, lines = ["set"], {row.test_set: [row.test_set] for row in rows}
    for name, column in columns.items():
        shared = [note for note in _notes(column[0]) if all(note in _notes(r) for r in column)]
        head.append(_labelled(name + _scale(column[0]), shared, notes))
        for test_set, line in lines.items():
            here = [row for row in column if row.test_set == test_set]
            line.append(", ".join(_labelled(r.printed, _notes(r, shared), notes) for r in here))
    marked = [[Markdown(cell) for cell in line] for line in (head, *lines.values())]
    body = markdown_table(marked[0], marked[1:], "lr")
    return f"`{rows[0].experiment}`, trained on {' + '.join(rows[0].trained_on)}:\n\n{body}"


def _scale(row: ReportedResult) -> str:
    return "" if float(row.printed) == row.value else f" × {float(row.printed) / row.value:g}"


def _notes(row: ReportedResult, known: Sequence[str] = ()) -> list[str]:
    return [n for n in ("" if row.compares_with else UNCOMPARED, row.note) if n and n not in known]


def _labelled(text: str, own: Sequence[str], notes: dict[str, str]) -> str:
    for note in own:
        number = 1 + len(notes.keys() - {UNCOMPARED})
        text += notes.setdefault(note, r"\*" if note == UNCOMPARED else f" [{number}]")
    return text


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main)(sys.argv[1:]))
