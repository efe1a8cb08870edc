"""A table as Markdown, LaTeX (booktabs), CSV, an HTML page and an Excel workbook."""

from collections.abc import Mapping, Sequence

from src import render
from src.errors import UserError
from src.reporting.groups import Group
from src.reporting.table import DIFFERENCE, Cell, Row, Table, show
from src.reporting.thumbnails import Thumbnail, best_and_worst
from src.reporting.wide import Cells, WideRow, WideTable
from src.settings.schema import TableLayout

_HEAD = ("data", "images", "method", "seeds")
_ORIGIN = ("trained_on", "commit", "config", "weights")
_LEGEND = "mean ± sample standard deviation over seeds"


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


def widen(table: Table, digits: int, weights: bool = True) -> WideTable:
    """The table with a group of columns for each data set, a row for each method.

    What a note says of a method on a set stands behind the first number of that set; so does how
    many images were scored, if not all.
    """
    rows: dict[tuple[str, str], WideRow] = {}
    for row in table.rows:
        lead: Cells = [row.method, seeds(row), *([_weights(row)] if weights else [])]
        wide = rows.setdefault((row.kind, row.method), WideRow(lead, {}, row.kind))
        found = {m: _cell(m, row, digits) for m in table.metrics if m in row.cells}
        share = f" ({row.images_shown})" if " of " in row.images_shown else ""
        for i, (metric, cell) in enumerate(found.items()):
            notes = tuple(row.notes) if i == 0 else ()
            cells = dict(wide.numbers)
            cells[row.test_set, metric] = cell._replace(text=cell.text + share, notes=notes)
            wide = wide._replace(numbers=cells)
        rows[row.kind, row.method] = wide
    head = ["method", "seeds", *(["weights"] if weights else [])]
    sets = {name: _with_images(name, table) for name in table.test_sets()}
    return WideTable(head, list(rows.values()), sets, table.metrics, table.protocol)


def _with_images(test_set: str, table: Table) -> str:
    """A data set's name, with its number of images where all rows agree on it."""
    of_set = [row for row in table.rows if row.test_set == test_set]
    counts = {row.expected or row.images for row in of_set} - {None}
    return f"{test_set} ({counts.pop()})" if len(counts) == 1 else test_set


def markdown(table: Table, digits: int, layout: TableLayout = "long") -> str:
    """The table, its notes, where its rows come from and the protocol of each metric."""
    if layout == "wide":
        wide = widen(table, digits)
        body = render.markdown_table(wide.head(named=True), wide.body(), "lllr")
    else:
        rows = [_cells(row, table, digits) for row in table.rows]
        body = render.markdown_table(_head(table), rows, "lllllr")
    notes = "".join(f"[{i}] {render.markdown(note)}  \n" for i, note in enumerate(table.notes, 1))
    protocol = "".join(f"- {render.markdown(line)}\n" for line in _protocol_lines(table))
    legend = f"**best**, <u>second</u>, _third_; {_LEGEND}\n"
    origins = "".join(f"- {render.markdown(line)}\n" for line in origin_lines(table))
    return "\n".join(part for part in (body, legend, notes, origins, protocol) if part)


def latex(table: Table, digits: int, layout: TableLayout = "long") -> str:
    """A `tabular` with booktabs' rules; a set's rows stand between two of them, unless it is wide.

    Hashes of weights stand in its comments: papers print none.
    """
    if layout == "wide":
        wide = widen(table, digits, weights=False)
        lines = render.latex_table(wide.head(named=False), [wide.body()], "llr", wide.over())
    else:
        groups = []
        for test_set in table.test_sets():
            rows = [row for row in table.rows if row.test_set == test_set]
            cells = [_cells(row, table, digits, weights=False) for row in rows]
            groups.append([cells[0], *(["", *row[1:]] for row in cells[1:])])
        lines = render.latex_table(_head(table, weights=False), groups, "lrlrr")
    remarks = [f"[{i}] {note}" for i, note in enumerate(table.notes, 1)]
    remarks += [*origin_lines(table), *_protocol_lines(table)]
    lines += [f"% {render.one_line(remark)}" for remark in remarks]
    return "\n".join(lines) + "\n"


def comma_separated(table: Table) -> str:
    """A line for each number, in full precision."""
    return render.csv_table(*_numbers(table))


def excel(table: Table, digits: int, layout: TableLayout = "long") -> bytes:
    """A workbook: the table, each number in full precision, and what the table says below itself.

    Raises:
        UserError: The package that writes workbooks is not installed.
    """
    wide = widen(table, digits)
    rows = [_cells(row, table, digits) for row in table.rows]
    remarks = [("note", f"[{i}] {note}") for i, note in enumerate(table.notes, 1)]
    remarks += [("origin", line) for line in origin_lines(table)]
    remarks += [("protocol", line) for line in _protocol_lines(table)]
    return render.excel_workbook(
        {
            "table": (
                (wide.head(named=True), wide.body()) if layout == "wide" else (_head(table), rows)
            ),
            "numbers": _numbers(table),
            "remarks": (("of", "remark"), remarks),
        }
    )


def html(
    table: Table,
    groups: Sequence[Group],
    curves: Mapping[str, bytes],
    title: str,
    digits: int,
    problems: list[str] | None = None,
    layout: TableLayout = "long",
) -> str:
    """The page: table, notes, protocol, curves by test set, best and worst images of the runs.

    `problems` gains a line for each run whose images are damaged and left out; without it, that is
    a UserError.
    """
    parts = [
        _html_table(table, digits, layout),
        "<p>Bold: best. Underlined: second. Italic: third. Mean ± sample standard deviation over "
        "seeds. A click on a column's head sorts.</p>",
        render.html_list("Notes", table.notes, ordered=True),
        render.html_list("Where the rows come from", origin_lines(table)),
        render.html_list("Protocol", _protocol_lines(table)),
        *(render.html_figure(png, "png", f"Curves on {name}") for name, png in curves.items()),
        _images(groups, digits, problems),
    ]
    return render.html_page(title, parts)


def _html_table(table: Table, digits: int, layout: TableLayout) -> str:
    if layout == "wide":
        wide = widen(table, digits)
        kinds = [row.kind for row in wide.rows]
        rows = list(zip(kinds, wide.body(), strict=True))
        return render.html_table(wide.head(named=False), rows, wide.over(), "lrlr")
    long, previous = [], None
    for row in table.rows:
        first = " first" if row.test_set != previous else ""
        long.append((f"{row.kind}{first}", _cells(row, table, digits)))
        previous = row.test_set
    return render.html_table(_head(table), long, align="lrlrlr")


def _head(table: Table, weights: bool = True) -> list[str]:
    return [*_HEAD, *(["weights"] if weights else []), *table.metrics]


def _cells(
    row: Row, table: Table, digits: int, weights: bool = True
) -> list[render.Cell | str | int]:
    """A row as every format prints it."""
    method = render.Cell(row.method, notes=tuple(row.notes))
    numbers = [
        _cell(metric, row, digits) if metric in row.cells else render.MISSING
        for metric in table.metrics
    ]
    start: list[render.Cell | str | int] = [row.test_set, row.images_shown, method, seeds(row)]
    return [*start, *([_weights(row)] if weights else []), *numbers]


def _weights(row: Row) -> str:
    return row.origin.weights_shown if row.origin is not None else ""


def _cell(metric: str, row: Row, digits: int) -> render.Cell:
    cell = row.cells[metric]
    return render.Cell(number(metric, cell, row, digits), cell.mark, value=cell.value)


def _numbers(table: Table) -> tuple[list[str], list[list[object]]]:
    """Head and lines of the long form: a line for each number."""
    head = [*_HEAD, "kind", "metric", "value", "std", "mark", "notes", *_ORIGIN]
    rows: list[list[object]] = []
    for row in table.rows:
        notes = " | ".join(table.notes[note - 1] for note in row.notes)
        listed = " ".join(map(str, row.seeds))
        for metric, cell in row.cells.items():
            rows.append(
                [
                    *(row.test_set, row.images_shown, row.method, listed, row.kind, metric),
                    *(cell.value, "" if cell.std is None else cell.std, cell.mark, notes),
                    *_origin_cells(row),
                ]
            )
    return head, rows


def _origin_cells(row: Row) -> list[str]:
    if row.origin is None:
        return [""] * len(_ORIGIN)
    origin = row.origin
    weights = " ".join(origin.weights.values()) or origin.weights_shown
    return ["+".join(origin.trained_on), origin.commit, origin.config, weights]


def _protocol_lines(table: Table) -> list[str]:
    return [f"{metric}: {text}" for metric, text in table.protocol.items()]


def _images(groups: Sequence[Group], digits: int, problems: list[str] | None) -> str:
    parts = []
    for group in groups:
        for test_set in group.test_sets():
            try:
                best, worst = best_and_worst(group.runs[0], test_set)
            except UserError as error:
                if problems is None:
                    raise
                problems.append(str(error))
                continue
            if best:
                title = f"{group.label}, {test_set}, seed {group.runs[0].seed}"
                parts.append(f"<h3>{render.html(title)}</h3>")
                parts.append(_column("Best", best, digits) + _column("Worst", worst, digits))
    if not parts:
        return ""
    said = "<p>Of all images, by the mean absolute error of the map as it is: image, target, "
    legend = "prediction, error (red is missed, blue is too much).</p>"
    return f"<h2>Best and worst</h2>\n{said}{legend}\n" + "\n".join(parts)


def _column(title: str, thumbnails: Sequence[Thumbnail], digits: int) -> str:
    figures = "\n".join(
        render.html_figure(one.jpeg, "jpeg", f"{one.name}, error {one.error:.{digits}f}")
        for one in thumbnails
    )
    return f'<section class="half"><h4>{title}</h4>\n{figures}</section>'
