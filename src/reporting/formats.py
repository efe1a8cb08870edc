"""Writes a table as Markdown, LaTeX (booktabs) and CSV."""

import csv
import io

from src import escape
from src.reporting.table import BEST, DIFFERENCE, SECOND, Cell, Row, Table, show

_HEAD = ("data", "images", "method", "seeds")
_ORIGIN = ("trained_on", "commit", "config", "weights")
_MARKDOWN_MARKS = {BEST: "**", SECOND: "_"}
_LATEX_MARKS = {BEST: r"\textbf", SECOND: r"\underline"}


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
    head = [*_HEAD, *map(escape.markdown, table.metrics)]
    lines = [head, ["---"] * 4 + ["---:"] * len(table.metrics)]
    for row in table.rows:
        notes = "".join(f" [{note}]" for note in row.notes)
        cells = [_markdown_cell(metric, row, digits) for metric in table.metrics]
        method, test_set = escape.markdown(row.method) + notes, escape.markdown(row.test_set)
        lines.append([test_set, str(row.images or ""), method, seeds(row), *cells])
    body = "".join(map(escape.markdown_row, lines))
    notes = "".join(f"[{i}] {escape.markdown(note)}  \n" for i, note in enumerate(table.notes, 1))
    protocol = "".join(
        f"- {escape.markdown(f'{metric}: {text}')}\n" for metric, text in table.protocol.items()
    )
    legend = "**best**, _second_; mean ± sample standard deviation over seeds\n"
    origins = "".join(f"- {escape.markdown(line)}\n" for line in origin_lines(table))
    return "\n".join(part for part in (body, legend, notes, origins, protocol) if part)


def latex(table: Table, digits: int) -> str:
    """A `tabular` with booktabs' rules; a set's rows stand between two of them."""
    columns = "lrl" + "r" * (1 + len(table.metrics))
    head = " & ".join(escape.latex(name) for name in (*_HEAD, *table.metrics))
    lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [rf"{head} \\"]
    for test_set in table.test_sets():
        lines.append(r"\midrule")
        rows = [row for row in table.rows if row.test_set == test_set]
        lines += [_latex_row(row, table, digits, first=row is rows[0]) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}"]
    remarks = [f"[{i}] {note}" for i, note in enumerate(table.notes, 1)]
    remarks += origin_lines(table)
    remarks += [f"{metric}: {text}" for metric, text in table.protocol.items()]
    lines += [f"% {escape.one_line(remark)}" for remark in remarks]
    return "\n".join(lines) + "\n"


def comma_separated(table: Table) -> str:
    """A line for each number, in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # Names and remarks are text of others; numbers and what this code writes are none.
    writer.writerow([*_HEAD, "kind", "metric", "value", "std", "mark", "notes", *_ORIGIN])
    for row in table.rows:
        notes = " | ".join(table.notes[note - 1] for note in row.notes)
        listed = " ".join(map(str, row.seeds))
        for metric, cell in row.cells.items():
            test_set, method, name, said = map(
                escape.csv_cell, (row.test_set, row.method, metric, notes)
            )
            line = [test_set, row.images or "", method, listed, row.kind, name]
            std = "" if cell.std is None else repr(cell.std)
            origin = map(escape.csv_cell, _origin_cells(row))
            writer.writerow([*line, repr(cell.value), std, cell.mark, said, *origin])
    return text.getvalue()


def _origin_cells(row: Row) -> list[str]:
    if row.origin is None:
        return [""] * len(_ORIGIN)
    origin = row.origin
    weights = " ".join(origin.weights.values())
    return ["+".join(origin.trained_on), origin.commit, origin.config, weights]


def _markdown_cell(metric: str, row: Row, digits: int) -> str:
    if (cell := row.cells.get(metric)) is None:
        return "–"
    mark = _MARKDOWN_MARKS.get(cell.mark, "")
    return f"{mark}{number(metric, cell, row, digits)}{mark}"


def _latex_row(row: Row, table: Table, digits: int, first: bool) -> str:
    notes = ",".join(map(str, row.notes))
    method = escape.latex(row.method) + (f"$^{{{notes}}}$" if notes else "")
    cells = [_latex_cell(metric, row, digits) for metric in table.metrics]
    start = escape.latex(row.test_set) if first else ""
    images = str(row.images or "")
    return " & ".join([start, images, method, seeds(row), *cells]) + r" \\"


def _latex_cell(metric: str, row: Row, digits: int) -> str:
    if (cell := row.cells.get(metric)) is None:
        return "--"
    text = escape.latex(number(metric, cell, row, digits))
    mark = _LATEX_MARKS.get(cell.mark)
    return f"{mark}{{{text}}}" if mark else text
