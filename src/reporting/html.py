"""Writes a table as one HTML file that needs nothing else: sortable, with images inside."""

import json
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from src.errors import UserError
from src.render import html as escape
from src.reporting.formats import number, origin_lines, seeds
from src.reporting.groups import Group
from src.reporting.runs import Run
from src.reporting.table import Row, Table

FOLDER = "extremes"
_SHOWN = 3
_LARGEST = 1 << 24  # bytes of an image or an index
_STYLE = r"""
body { font: 14px/1.45 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 110rem; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap }
th:nth-child(1), td:nth-child(1), th:nth-child(3), td:nth-child(3) { text-align: left }
thead th { border-bottom: 2px solid; cursor: pointer; user-select: none }
tr.first td { border-top: 1px solid #999 }
tr.published td, tr.difference td { color: #555; font-style: italic }
td.best { font-weight: bold } td.second { text-decoration: underline }
.wide { overflow-x: auto } img { max-width: 100% } figure { margin: .4rem 0 }
figcaption { font-size: 12px; color: #555 }
.half { display: inline-block; vertical-align: top; margin-right: 2rem; max-width: 100% }
h4 { margin: .4rem 0 }
thead th::after { content: "\00a0\2195"; color: #aaa; font-weight: normal }
thead th[aria-sort=ascending]::after { content: "\00a0\2191" }
thead th[aria-sort=descending]::after { content: "\00a0\2193" }
"""
# A click on a head sorts by that column, a second one the other way round. Empty cells stay below.
_SCRIPT = """
document.querySelectorAll("th").forEach((head, column) => head.addEventListener("click", () => {
  const down = head.ariaSort !== "descending";
  document.querySelectorAll("th").forEach(other => other.ariaSort = null);
  head.ariaSort = down ? "descending" : "ascending";
  const body = document.querySelector("tbody");
  const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return down ? -order : order;
  });
  rows.forEach(row => { row.classList.remove("first"); body.append(row); });
}));
"""


class Thumbnail(NamedTuple):
    """`image | target | prediction | error` as JPEG bytes, with the map's mean absolute error."""

    name: str
    error: float
    jpeg: bytes


def best_and_worst(run: Run, test_set: str) -> tuple[list[Thumbnail], list[Thumbnail]]:
    """The best images of a test set, best first, and the worst, worst first.

    None where the run kept none.
    """
    folder = run.folder / FOLDER / test_set
    if folder.parent.resolve() not in folder.resolve().parents:
        return [], []  # a set's name that leads elsewhere
    kept = sorted(_kept(folder), key=lambda entry: entry[:2])
    half = min(_SHOWN, len(kept) // 2)
    shown = [Thumbnail(name, error, path.read_bytes()) for error, name, path in kept]
    return shown[:half], shown[::-1][:half]


def _kept(folder: Path) -> list[tuple[float, str, Path]]:
    """Of all processes, each of which wrote a file about its own images."""
    found = []
    for index in sorted(folder.glob("*.json")):
        try:
            if index.stat().st_size > _LARGEST:
                raise ValueError(f"{index.stat().st_size >> 20} MB")
            for entry in json.loads(index.read_text(encoding="utf-8")):
                path, error = _image(folder, entry["file"]), float(entry["error"])
                if not math.isfinite(error):
                    raise ValueError(f"an error of {error}")
                if path.is_file():
                    found.append((error, str(entry["name"]), path))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise UserError(f"{index} is damaged ({error}); test the run again") from error
    return found


def _image(folder: Path, name: str) -> Path:
    """An image beside its index; anything else is no image of the run."""
    path = folder / name
    if path.parent != folder or path.suffix != ".jpg" or path.resolve().parent != folder.resolve():
        raise ValueError(f"{name!r} is no image in this folder")
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise ValueError(f"{name} has {path.stat().st_size >> 20} MB")
    return path


def html(
    table: Table,
    groups: Sequence[Group],
    curves: Mapping[str, bytes],
    title: str,
    digits: int,
    problems: list[str] | None = None,
) -> str:
    """The page: table, notes, protocol, curves by test set, best and worst images of the runs.

    `problems` gains a line for each run whose images are damaged and left out; without it, that is
    a UserError.
    """
    parts = [
        _table(table, digits),
        _list("Notes", table.notes, ordered=True),
        _list("Where the rows come from", origin_lines(table)),
        _list("Protocol", [f"{metric}: {text}" for metric, text in table.protocol.items()]),
        *(_figure(png, "png", f"Curves on {name}") for name, png in curves.items()),
        _images(groups, digits, problems),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n{body}\n"
        f"<script>{_SCRIPT}</script>\n</html>\n"
    )


def _table(table: Table, digits: int) -> str:
    names = ["data", "images", "method", "seeds", *table.metrics]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    previous, rows = "", []
    for row in table.rows:
        rows.append(_row(row, table.metrics, digits, first=row.test_set != previous))
        previous = row.test_set
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(rows)
        + "\n</tbody>\n</table></div>\n<p>Bold: best. Underlined: second. Mean ± sample standard "
        "deviation over seeds. A click on a column's head sorts.</p>"
    )


def _row(row: Row, metrics: Sequence[str], digits: int, first: bool) -> str:
    notes = f"<sup>{','.join(map(str, row.notes))}</sup>" if row.notes else ""
    cells = [
        f"<td>{escape(row.test_set)}</td><td>{row.images or ''}</td>"
        f"<td>{escape(row.method)}{notes}</td><td>{seeds(row)}</td>"
    ]
    for metric in metrics:
        if (cell := row.cells.get(metric)) is None:
            cells.append('<td data-value="">–</td>')
        else:
            text = escape(number(metric, cell, row, digits))
            cells.append(f'<td class="{cell.mark}" data-value="{cell.value!r}">{text}</td>')
    return f'<tr class="{row.kind}{" first" if first else ""}">{"".join(cells)}</tr>'


def _list(title: str, items: Sequence[str], ordered: bool = False) -> str:
    if not items:
        return ""
    kind = "ol" if ordered else "ul"
    lines = "".join(f"<li>{escape(item)}</li>\n" for item in items)
    return f"<h2>{title}</h2>\n<{kind}>\n{lines}</{kind}>"


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
                seed = group.runs[0].seed
                parts.append(f"<h3>{escape(group.label)}, {escape(test_set)}, seed {seed}</h3>")
                parts.append(_column("Best", best, digits) + _column("Worst", worst, digits))
    if not parts:
        return ""
    said = "<p>Of all images, by the mean absolute error of the map as it is: image, target, "
    legend = "prediction, error (red is missed, blue is too much).</p>"
    return f"<h2>Best and worst</h2>\n{said}{legend}\n" + "\n".join(parts)


def _column(title: str, thumbnails: Sequence[Thumbnail], digits: int) -> str:
    figures = "\n".join(
        _figure(t.jpeg, "jpeg", f"{t.name}, error {t.error:.{digits}f}") for t in thumbnails
    )
    return f'<section class="half"><h4>{title}</h4>\n{figures}</section>'


def _figure(content: bytes, kind: str, caption: str) -> str:
    data, text = b64encode(content).decode(), escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )
