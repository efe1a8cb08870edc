"""Writes a table as Markdown, LaTeX (booktabs) and CSV."""

from typing import Literal

from src import render
from src.reporting.table import BEST, DIFFERENCE, SECOND, Cell, Row, Table, show

_HEAD = ("data", "images", "method", "seeds")
_ORIGIN = ("trained_on", "commit", "config", "weights")
_EMPHASIS: dict[str, Literal["first", "second"]] = {BEST: "first", SECOND: "second"}


def number(metric: str, cell: Cell, row: Row, digits: int) -> str:
    """A cell's text without its mark: `0.791 ± 0.002`, with a sign in a difference."""
    text = show(metric, cell.value, digits, signed=row.kind == DIFFERENCE)
    return f"{text} ± {show(metric, cell.std, digits)}" if cell.std is not None else text


def seeds(row: Row) -> str:
    """How many seeds a row is the mean of; empty where nothing was trained."""
    return str(len(row.seeds)) if row.seeds else ""


def origin_lines(table: Table) -> list[str]:
    """A line for each method: training sets, commit, config and weights."""
    return [f"{method}: {origin}" for method, origin in table.origins().items()]


def markdown(table: Table, digits: int) -> str:
    """The table, its notes, where its rows come from and the protocol of each metric."""
    rows = [_cells(row, table, digits) for row in table.rows]
    body = render.markdown_table([*_HEAD, *table.metrics], rows, "llllr")
    notes = "".join(f"[{i}] {render.markdown(note)}  \n" for i, note in enumerate(table.notes, 1))
    protocol = "".join(
        f"- {render.markdown(f'{metric}: {text}')}\n" for metric, text in table.protocol.items()
    )
    legend = "**best**, _second_; mean ± sample standard deviation over seeds\n"
    origins = "".join(f"- {render.markdown(line)}\n" for line in origin_lines(table))
    return "\n".join(part for part in (body, legend, notes, origins, protocol) if part)


def latex(table: Table, digits: int) -> str:
    """A `tabular` with booktabs' rules; a set's rows stand between two of them."""
    groups = []
    for test_set in table.test_sets():
        rows = [row for row in table.rows if row.test_set == test_set]
        cells = [_cells(row, table, digits) for row in rows]
        groups.append([cells[0], *(["", *row[1:]] for row in cells[1:])])
    lines = render.latex_table([*_HEAD, *table.metrics], groups, "lrlrr")
    remarks = [f"[{i}] {note}" for i, note in enumerate(table.notes, 1)]
    remarks += origin_lines(table)
    remarks += [f"{metric}: {text}" for metric, text in table.protocol.items()]
    lines += [f"% {render.one_line(remark)}" for remark in remarks]
    return "\n".join(lines) + "\n"


def comma_separated(table: Table) -> str:
    """A line for each number, in full precision."""
    head = [*_HEAD, "kind", "metric", "value", "std", "mark", "notes", *_ORIGIN]
    rows: list[list[object]] = []
    for row in table.rows:
        notes = " | ".join(table.notes[note - 1] for note in row.notes)
        listed = " ".join(map(str, row.seeds))
        for metric, cell in row.cells.items():
            rows.append(
                [
                    *(row.test_set, row.images or "", row.method, listed, row.kind, metric),
                    *(cell.value, "" if cell.std is None else cell.std, cell.mark, notes),
                    *_origin_cells(row),
                ]
            )
    return render.csv_table(head, rows)


def _cells(row: Row, table: Table, digits: int) -> list[render.Cell | str | int]:
    """A row as every format prints it."""
    method = render.Cell(row.method, notes=tuple(row.notes))
    numbers = [_cell(metric, row, digits) for metric in table.metrics]
    return [row.test_set, row.images or "", method, seeds(row), *numbers]


def _cell(metric: str, row: Row, digits: int) -> render.Cell | str:
    if (cell := row.cells.get(metric)) is None:
        return "–"
    return render.Cell(number(metric, cell, row, digits), _EMPHASIS.get(cell.mark, ""))


def _origin_cells(row: Row) -> list[str]:
    if row.origin is None:
        return [""] * len(_ORIGIN)
    origin = row.origin
    weights = " ".join(origin.weights.values())
    return ["+".join(origin.trained_on), origin.commit, origin.config, weights]
