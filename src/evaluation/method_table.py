"""Methods beside each other, a group of columns for each data set, as papers print them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src import render
from src.evaluation.report import EvaluationReport
from src.metrics import describe, draw_images, higher_is_better, resample
from src.reporting.table import show

RESAMPLES, CONFIDENCE = 2000, 0.95
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
    """Several methods on several data sets, scored by the same metrics.

    Attributes:
        reports: One of each method, in the order of the rows.
        sets: Images that there are, by data set, in the order of the columns.
        differences: From the best method, of every other one that was scored on a whole set.
    """

    reports: Sequence[EvaluationReport]
    sets: Mapping[str, int]
    differences: Mapping[Key, Difference]

    @property
    def metrics(self) -> Sequence[str]:
        """In the order of each set's columns."""
        return self.reports[0].metrics


def build_method_table(
    reports: Sequence[EvaluationReport], images: Mapping[str, int], seed: int = 0
) -> MethodTable:
    """Put what was scored of several methods into one table.

    Args:
        reports: One of each method, of the same metrics and the same ground truth.
        images: How many each data set has, in the order of the columns.
        seed: Of the bootstrap.
    """
    scored = {name for report in reports for name in report.values}
    names = [name for name in images if name in scored]
    differences: dict[Key, Difference] = {}
    for name in names:
        differences |= _differences(reports, name, seed)
    return MethodTable(reports, {name: images[name] for name in names}, differences)


def markdown(table: MethodTable, digits: int) -> str:
    """The table, what its marks mean, and the protocol of each metric."""
    head, rows = _grid(table, digits, named=True)
    lines = [f"- {render.markdown(line)}\n" for line in _remarks(table)]
    legend = f"**best**, <u>second</u>, _third_; {_legend(table)}\n"
    return "\n".join([render.markdown_table(head, rows, "lr"), legend, "".join(lines)])


def latex(table: MethodTable, digits: int) -> str:
    """A `tabular`, the data sets above their columns; its comments say what the numbers mean."""
    head, rows = _grid(table, digits, named=False)
    lines = render.latex_table(head, [rows], "lr", over=_over(table))
    remarks = [f"{_legend(table)}; bold: best, underlined: second, italic: third", *_remarks(table)]
    lines += [f"% {render.one_line(remark)}" for remark in remarks]
    return "\n".join(lines) + "\n"


def comma_separated(table: MethodTable) -> str:
    """A line for each number, in full precision."""
    return render.csv_table(*_numbers(table))


def html(table: MethodTable, digits: int, figures: Mapping[str, bytes], title: str) -> str:
    """The page: the table, differences from the best, protocol, and the figures (PNG)."""
    head, rows = _grid(table, digits, named=False)
    parts = [
        render.html_table(head, [("run", row) for row in rows], over=_over(table)),
        f"<p>Bold: best. Underlined: second. Italic: third. {render.html(_legend(table))}. "
        "A click on a column's head sorts.</p>",
        render.html_list("Remarks", _remarks(table)),
        *(render.html_figure(png, "png", caption) for caption, png in figures.items()),
    ]
    return render.html_page(title, parts)


def excel(table: MethodTable, digits: int) -> bytes:
    """A workbook: the table, each number in full precision, and the remarks.

    Raises:
        UserError: The package that writes workbooks is not installed.
    """
    return render.excel_workbook(
        {
            "table": _grid(table, digits, named=True),
            "numbers": _numbers(table),
            "remarks": (("remark",), [(line,) for line in [_legend(table), *_remarks(table)]]),
        }
    )


def _grid(
    table: MethodTable, digits: int, named: bool
) -> tuple[list[str], list[list[render.Cell | str]]]:
    """Head and rows; `named`: the data set stands in the names of its columns."""
    columns = [(name, metric) for name in table.sets for metric in table.metrics]
    arrows = {m: "↑" if higher_is_better(m) else "↓" for m in table.metrics}
    head = ["method"]
    head += [f"{name} {m} {arrows[m]}" if named else f"{m} {arrows[m]}" for name, m in columns]
    cells = [_column(table, name, metric, digits) for name, metric in columns]
    methods = [report.method for report in table.reports]
    return head, [[method, *row] for method, *row in zip(methods, *cells, strict=True)]


def _column(table: MethodTable, name: str, metric: str, digits: int) -> list[render.Cell | str]:
    values = [report.values.get(name, {}).get(metric) for report in table.reports]
    shown = [None if value is None else show(metric, value, digits) for value in values]
    compared = [
        text if name in report.values and _is_whole(report, name, metric) else None
        for report, text in zip(table.reports, shown, strict=True)
    ]
    places = render.ranked(compared, higher_is_better(metric))
    cells: list[render.Cell | str] = []
    for report, value, text, place in zip(table.reports, values, shown, places, strict=True):
        if text is None:
            cells.append(render.MISSING)
            continue
        share = report.partial.get(name)
        apart = table.differences.get((report.method, name, metric))
        text += f" ({share})" if share else ""
        text += f" {AS_GOOD}" if apart is not None and not apart.significant else ""
        cells.append(render.Cell(text, place, value=value))
    return cells


def _is_whole(report: EvaluationReport, name: str, metric: str) -> bool:
    """Whether a value is of all images of a set, and one."""
    return name not in report.partial and not math.isnan(report.values[name][metric])


def _over(table: MethodTable) -> list[tuple[str, int]]:
    """Data sets above the columns, with how many of these each spans."""
    spans = [(f"{name} ({count})", len(table.metrics)) for name, count in table.sets.items()]
    return [("", 1), *spans]


def _numbers(table: MethodTable) -> tuple[list[str], list[list[object]]]:
    head = ["method", "data", "images", "complete", "metric", "value", "from_best", "low", "high"]
    head.append("protocol")
    rows: list[list[object]] = []
    for report in table.reports:
        for name, values in report.values.items():
            for metric, value in values.items():
                apart = table.differences.get((report.method, name, metric))
                rows.append(
                    [
                        *(report.method, name, table.sets[name]),
                        *(report.partial.get(name, "yes"), metric, value),
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
        f"INCOMPLETE: {report.method} on {name}, {share} images; not ranked"
        for report in table.reports
        for name, share in report.partial.items()
    ]
    notices = [
        f"{report.method}: {count} images: {notice}"
        for report in table.reports
        for notice, count in report.notice_counts().items()
    ]
    counts = [f"{name}: {count} images" for name, count in table.sets.items()]
    # The same for all that were scored with some: others are refused.
    counts += dict.fromkeys(
        said for name in table.sets for one in table.reports if (said := one.trimaps_said(name))
    )
    protocol = [f"{metric}: {describe(metric)}" for metric in table.metrics]
    return [*incomplete, *notices, *counts, *protocol]


def _differences(
    reports: Sequence[EvaluationReport], name: str, seed: int
) -> dict[Key, Difference]:
    """Of one data set; methods that were scored on all of it were so on the same images."""
    whole = [one for one in reports if name in one.values and name not in one.partial]
    if len(whole) < 2:
        return {}
    metrics = whole[0].metrics
    draws = draw_images(len(whole[0].by_set[name]), RESAMPLES, seed)
    drawn = {one.method: resample(one.by_set[name], metrics, draws) for one in whole}
    found: dict[Key, Difference] = {}
    for metric in metrics:
        values = {
            one.method: one.values[name][metric] for one in whole if _is_whole(one, name, metric)
        }
        if len(values) > 1:
            of_metric = {method: drawn[method][metric] for method in values}
            apart = _from_best(values, of_metric, max if higher_is_better(metric) else min)
            found |= {(method, name, metric): one for method, one in apart.items()}
    return found


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
