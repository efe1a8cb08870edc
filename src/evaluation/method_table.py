"""The table of several methods on several data sets, with significance, curves and all formats."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src import render
from src.atomic import atomic_write
from src.errors import UserError
from src.evaluation.matching import CURVES_OF_SET
from src.evaluation.method_curves import plot_methods
from src.evaluation.report import MethodScores, describe_trimaps
from src.metrics import describe, draw_images, higher_is_better, record, resample
from src.reporting.table import show
from src.reporting.wide import WideRow, WideTable

RESAMPLES, CONFIDENCE = 2000, 0.95
DIGITS = 3
TABLE = "table"
# Behind a number that is not significantly worse than the best.
AS_GOOD = "≈"

Key = tuple[str, str, str]  # method, data set, metric


class Difference(NamedTuple):
    """A method's value minus the best one, and its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class MethodTable:
    """Several methods on several data sets.

    Attributes:
        methods: In the order of the rows.
        metrics: In the order of each set's columns.
        sets: Images that there are, by data set, in the order of the columns.
        differences: From the best method, of every other one that was scored on a whole set.
    """

    methods: Sequence[MethodScores]
    metrics: Sequence[str]
    sets: Mapping[str, int]
    differences: Mapping[Key, Difference]


def build_method_table(
    methods: Sequence[MethodScores],
    metrics: Sequence[str],
    images: Mapping[str, int],
    seed: int = 0,
) -> MethodTable:
    """Put what was scored of several methods into one table.

    Args:
        methods: Scored against the same ground truth.
        metrics: The columns of each set; a method may lack some.
        images: How many each data set has, in the order of the columns.
        seed: Of the bootstrap.
    """
    scored = {name for one in methods for name in one.values}
    names = [name for name in images if name in scored]
    differences: dict[Key, Difference] = {}
    for name in names:
        differences |= _differences(methods, metrics, name, seed)
    return MethodTable(methods, metrics, {name: images[name] for name in names}, differences)


def write_method_table(output: Path, table: MethodTable, emphasize: str | None) -> None:
    """Write `table.md`, `.tex`, `.csv`, `.html`, `.xlsx`, and curves of each data set."""
    figures: dict[str, bytes] = {}
    for name in table.sets:
        for form, content in plot_methods(table.methods, name, emphasize).items():
            atomic_write(output / f"{CURVES_OF_SET}{render.file_name(name)}.{form}", content)
            if form == "png":
                figures[f"Curves on {name}"] = content
    title = f"{len(table.methods)} methods on {', '.join(table.sets)}"
    atomic_write(output / f"{TABLE}.md", markdown(table))
    atomic_write(output / f"{TABLE}.tex", latex(table))
    atomic_write(output / f"{TABLE}.csv", comma_separated(table))
    atomic_write(output / f"{TABLE}.html", html(table, figures, title))
    try:
        atomic_write(output / f"{TABLE}.xlsx", excel(table))
    except UserError as error:
        print(error, file=sys.stderr)


def markdown(table: MethodTable, digits: int = DIGITS) -> str:
    """The table, what its marks mean, and the protocol of each metric."""
    wide = _wide(table, digits)
    lines = [f"- {render.markdown(line)}\n" for line in _remarks(table)]
    legend = f"**best**, <u>second</u>, _third_; {_legend(table)}\n"
    body = render.markdown_table(wide.head(named=True), wide.body(), "lr")
    return "\n".join([body, legend, "".join(lines)])


def latex(table: MethodTable, digits: int = DIGITS) -> str:
    """A `tabular`, the data sets above their columns; its comments say what the numbers mean."""
    wide = _wide(table, digits)
    lines = render.latex_table(wide.head(named=False), [wide.body()], "lr", over=wide.over())
    remarks = [f"{_legend(table)}; bold: best, underlined: second, italic: third", *_remarks(table)]
    lines += [f"% {render.one_line(remark)}" for remark in remarks]
    return "\n".join(lines) + "\n"


def comma_separated(table: MethodTable) -> str:
    """A line for each number, in full precision."""
    return render.csv_table(*_numbers(table))


def html(table: MethodTable, figures: Mapping[str, bytes], title: str, digits: int = DIGITS) -> str:
    """The page: the table, differences from the best, protocol, and the figures (PNG)."""
    wide = _wide(table, digits)
    rows = [("run", row) for row in wide.body()]
    parts = [
        render.html_table(wide.head(named=False), rows, over=wide.over()),
        f"<p>Bold: best. Underlined: second. Italic: third. {render.html(_legend(table))}. "
        "A click on a column's head sorts.</p>",
        render.html_list("Remarks", _remarks(table)),
        *(render.html_figure(png, "png", caption) for caption, png in figures.items()),
    ]
    return render.html_page(title, parts)


def excel(table: MethodTable, digits: int = DIGITS) -> bytes:
    """A workbook: the table, each number in full precision, and the remarks.

    Raises:
        UserError: The package that writes workbooks is not installed.
    """
    wide = _wide(table, digits)
    return render.excel_workbook(
        {
            "table": (wide.head(named=True), wide.body()),
            "numbers": _numbers(table),
            "remarks": (("remark",), [(line,) for line in [_legend(table), *_remarks(table)]]),
        }
    )


def _wide(table: MethodTable, digits: int) -> WideTable:
    numbers: list[dict[tuple[str, str], render.Cell]] = [{} for _ in table.methods]
    for name in table.sets:
        for metric in table.metrics:
            column = _column(table, name, metric, digits)
            for cells, cell in zip(numbers, column, strict=True):
                cells |= {} if cell is None else {(name, metric): cell}
    methods = zip(table.methods, numbers, strict=True)
    rows = [WideRow([one.method], cells) for one, cells in methods]
    sets = {name: f"{name} ({count})" for name, count in table.sets.items()}
    return WideTable(["method"], rows, sets, table.metrics, {})


def _column(table: MethodTable, name: str, metric: str, digits: int) -> list[render.Cell | None]:
    """A cell for each method that has the number."""
    values = [one.values.get(name, {}).get(metric) for one in table.methods]
    shown = [None if value is None else show(metric, value, digits) for value in values]
    compared = [
        text if text is not None and _is_whole(one, name, metric) else None
        for one, text in zip(table.methods, shown, strict=True)
    ]
    places = render.ranked(compared, higher_is_better(metric))
    cells: list[render.Cell | None] = []
    for one, value, text, place in zip(table.methods, values, shown, places, strict=True):
        if text is None:
            cells.append(None)
            continue
        share = one.partial.get(name)
        apart = table.differences.get((one.method, name, metric))
        text += f" ({share})" if share else ""
        text += f" {AS_GOOD}" if apart is not None and not apart.significant else ""
        cells.append(render.Cell(text, place, value=value))
    return cells


def _is_whole(one: MethodScores, name: str, metric: str) -> bool:
    """Whether there is a value, of all images of a set."""
    value = one.values.get(name, {}).get(metric, math.nan)
    return name not in one.partial and not math.isnan(value)


def _numbers(table: MethodTable) -> tuple[list[str], list[list[object]]]:
    head = ["method", "data", "images", "complete", "metric", "value", "from_best", "low", "high"]
    head.append("protocol")
    rows: list[list[object]] = []
    for one in table.methods:
        for name in (name for name in table.sets if name in one.values):
            for metric in (m for m in table.metrics if m in one.values[name]):
                apart = table.differences.get((one.method, name, metric))
                rows.append(
                    [
                        *(one.method, name, table.sets[name], one.partial.get(name, "yes")),
                        *(metric, one.values[name][metric]),
                        *(["", "", ""] if apart is None else apart),
                        describe(metric),
                    ]
                )
    return head, rows


def _legend(table: MethodTable) -> str:
    return (
        f"{AS_GOOD}: the difference from the best is not significant (paired bootstrap over "
        f"images, {RESAMPLES} resamples, {CONFIDENCE:.0%})"
    )


def _remarks(table: MethodTable) -> list[str]:
    incomplete = [
        f"INCOMPLETE: {one.method} on {name}, {share} images; not ranked"
        for one in table.methods
        for name, share in one.partial.items()
    ]
    notices = [
        f"{one.method}: {count} images: {notice}"
        for one in table.methods
        for notice, count in one.notices.items()
    ]
    untested = [
        f"{one.method}: {metric} on {name} takes no part in the bootstrap: an older version stored "
        "the value alone"
        for one in table.methods
        for name, row in one.values.items()
        for metric in row
        if not _can_be_drawn(one, name, metric)
    ]
    counts = [f"{name}: {count} images" for name, count in table.sets.items()]
    # The same for all that were scored with some: others are refused.
    counts += dict.fromkeys(
        describe_trimaps(name, one.trimaps[name])
        for name in table.sets
        for one in table.methods
        if name in one.trimaps
    )
    protocol = [f"{metric}: {describe(metric)}" for metric in table.metrics]
    return [*incomplete, *notices, *untested, *counts, *protocol]


def _differences(
    methods: Sequence[MethodScores], metrics: Sequence[str], name: str, seed: int
) -> dict[Key, Difference]:
    """Of one data set; methods that were scored on all of it were so on the same images."""
    whole = [one for one in methods if name in one.values and name not in one.partial]
    if len(whole) < 2:
        return {}
    draws = draw_images(len(whole[0].by_set[name]), RESAMPLES, seed)
    drawn = {
        one.method: resample(
            one.by_set[name], [m for m in metrics if _can_be_drawn(one, name, m)], draws
        )
        for one in whole
    }
    found: dict[Key, Difference] = {}
    for metric in metrics:
        values = {
            one.method: one.values[name][metric]
            for one in whole
            if _is_whole(one, name, metric) and _can_be_drawn(one, name, metric)
        }
        if len(values) > 1:
            of_metric = {method: drawn[method][metric] for method in values}
            apart = _from_best(values, of_metric, max if higher_is_better(metric) else min)
            found |= {(method, name, metric): one for method, one in apart.items()}
    return found


def _can_be_drawn(one: MethodScores, name: str, metric: str) -> bool:
    """Whether the value is there, and can be computed of other images of the set."""
    if metric not in one.values.get(name, {}):
        return False
    kept = record(metric).kept
    return kept is None or all(kept.name in image.kept for image in one.by_set[name])


def _from_best(
    values: Mapping[str, float], drawn: Mapping[str, np.ndarray], pick: Callable[..., str]
) -> dict[str, Difference]:
    best = pick(values, key=lambda method: values[method])
    tail = (1 - CONFIDENCE) / 2
    found = {}
    for method, value in values.items():
        if method != best:
            low, high = np.nanquantile(drawn[method] - drawn[best], (tail, 1 - tail))
            found[method] = Difference(value - values[best], float(low), float(high))
    return found
