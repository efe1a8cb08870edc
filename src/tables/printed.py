"""What a paper printed, as Markdown: `python -m src.tables.printed isnet`; no name lists them.

A recipe will do for a paper: `isnet/dis5k`. Numbers of no recipe, read second-hand, are left out.
"""

import sys
from collections.abc import Sequence

from src.errors import UserError, told
from src.escape import markdown_row

from .published import Published, load
from .runs import belongs

UNCOMPARED = "nothing of ours is compared with it"


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


@told
def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    print(printed(" ".join(words)) if words else "\n".join(papers()) + "\n", end="")
    return 0


def _table(rows: Sequence[Published], notes: dict[str, str]) -> str:
    """One recipe's numbers; `notes`, from text to label, grows by what they refer to."""
    ours = {row.metric: row.compares_with for row in rows if row.compares_with}
    compared = {(row.test_set, row.metric, row.printed) for row in rows if row.compares_with}
    columns: dict[str, list[Published]] = {}
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
    table = [head, ["---", *["---:"] * len(columns)], *lines.values()]
    body = "".join(map(markdown_row, table))
    return f"`{rows[0].experiment}`, trained on {' + '.join(rows[0].trained_on)}:\n\n{body}"


def _scale(row: Published) -> str:
    return "" if float(row.printed) == row.value else f" × {float(row.printed) / row.value:g}"


def _notes(row: Published, known: Sequence[str] = ()) -> list[str]:
    return [n for n in ("" if row.compares_with else UNCOMPARED, row.note) if n and n not in known]


def _labelled(text: str, own: Sequence[str], notes: dict[str, str]) -> str:
    for note in own:
        number = 1 + len(notes.keys() - {UNCOMPARED})
        text += notes.setdefault(note, r"\*" if note == UNCOMPARED else f" [{number}]")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
