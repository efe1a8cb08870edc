"""Methods beside each other, a group of columns for each data set, as papers print them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src import render
from src.errors import UserError
from src.metrics import draw_images, higher_is_better, require_same, resample
from src.reporting.table import show
from src.results.folder import ResultsFolder

RESAMPLES, CONFIDENCE = 2000, 0.95
# Behind a number that is not significantly worse than the best.
AS_GOOD = "≈"

Key = tuple[str, str, str]  # method, data set, metric


class Difference(NamedTuple):
    """A method minus the best one, of a metric on a data set.

    Attributes:
        method: The method.
        set: The data set.
        metric: The metric.
        best: The method with the best value.
        images: Those of the set.
        difference: Of the printed values.
        low: Lower end of its confidence interval.
        high: Upper end.
    """

    method: str
    set: str
    metric: str
    best: str
    images: int
    difference: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class MethodTable:
    """Values of several methods on several data sets.

    Attributes:
        methods: In the order of the rows.
        sets: Number of images by data set, in the order of the columns.
        metrics: In the order of each set's columns.
        values: By method, data set and metric; missing where a method was not scored so.
        partial: `3 of 5` by method and data set, where images were left out.
        differences: From the best method, of every other one.
        protocol: How each metric was computed.
        notices: What a reader should know of a method's maps.
    """

    methods: Sequence[str]
    sets: Mapping[str, int]
    metrics: Sequence[str]
    values: Mapping[Key, float]
    partial: Mapping[tuple[str, str], str]
    differences: Sequence[Difference]
    protocol: Mapping[str, str]
    notices: Sequence[str] = ()

    def higher_is_better(self, metric: str) -> bool:
        """The direction of a metric."""
        return higher_is_better(metric, self.protocol[metric])


def build_method_table(
    folders: Sequence[ResultsFolder], metrics: Sequence[str] = (), seed: int = 0
) -> MethodTable:
    """Put the results of several methods into one table.

    Args:
        folders: One of each method.
        metrics: In their order; all that every method has, if empty.
        seed: Of the bootstrap.

    Raises:
        UserError: Two methods of one name, no metric in common, a metric of two protocols, or a
            data set of two sizes.
    """
    names = [folder.method for folder in folders]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two methods are called {twice[0]}: rename one of their folders")
    chosen = list(metrics) or _shared_metrics(folders)
    for folder in folders[1:]:
        require_same(folders[0].protocol, folder.protocol, chosen)
    sets = dict.fromkeys(name for folder in folders for name in folder.values)
    values: dict[Key, float] = {
        (folder.method, name, metric): folder.values[name][metric]
        for folder in folders
        for name in folder.values
        for metric in chosen
        if metric in folder.values[name]
    }
    partial = {
        (folder.method, name): share
        for folder in folders
        for name, share in folder.provenance.partial.items()
    }
    return MethodTable(
        methods=names,
        sets={name: _images(folders, name) for name in sets},
        metrics=chosen,
        values=values,
        partial=partial,
        differences=_differences(folders, list(sets), chosen, values, partial, seed),
        protocol={metric: folders[0].protocol[metric] for metric in chosen},
        notices=[
            f"{folder.method}: {count} images: {notice}"
            for folder in folders
            for notice, count in folder.provenance.notices.items()
        ],
    )


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
    arrows = {m: "↑" if table.higher_is_better(m) else "↓" for m in table.metrics}
    head = ["method"]
    head += [f"{name} {m} {arrows[m]}" if named else f"{m} {arrows[m]}" for name, m in columns]
    as_good = {(d.method, d.set, d.metric) for d in table.differences if not d.significant}
    cells = [_column(table, name, metric, digits, as_good) for name, metric in columns]
    return head, [[method, *row] for method, *row in zip(table.methods, *cells, strict=True)]


def _column(
    table: MethodTable, name: str, metric: str, digits: int, as_good: set[Key]
) -> list[render.Cell | str]:
    keys = [(method, name, metric) for method in table.methods]
    shown = [
        show(metric, table.values[key], digits) if key in table.values else None for key in keys
    ]
    compared = [
        text if _is_whole(table, key) and text is not None else None
        for key, text in zip(keys, shown, strict=True)
    ]
    places = render.ranked(compared, table.higher_is_better(metric))
    cells: list[render.Cell | str] = []
    for key, text, place in zip(keys, shown, places, strict=True):
        if text is None:
            cells.append(render.MISSING)
            continue
        share = table.partial.get(key[:2])
        text += f" ({share})" if share else f" {AS_GOOD}" if key in as_good else ""
        cells.append(render.Cell(text, place, value=table.values[key]))
    return cells


def _is_whole(table: MethodTable, key: Key) -> bool:
    value = table.values.get(key, math.nan)
    return key[:2] not in table.partial and not math.isnan(value)


def _over(table: MethodTable) -> list[tuple[str, int]]:
    """Data sets above the columns, with how many of these each spans."""
    spans = [(f"{name} ({count})", len(table.metrics)) for name, count in table.sets.items()]
    return [("", 1), *spans]


def _numbers(table: MethodTable) -> tuple[list[str], list[list[object]]]:
    head = ["method", "data", "images", "complete", "metric", "value", "from_best", "low", "high"]
    head.append("protocol")
    apart = {(d.method, d.set, d.metric): d for d in table.differences}
    rows: list[list[object]] = []
    for (method, name, metric), value in table.values.items():
        found = apart.get((method, name, metric))
        numbers = ["", "", ""] if found is None else [found.difference, found.low, found.high]
        share = table.partial.get((method, name), "yes")
        rows.append(
            [
                *(method, name, table.sets[name], share, metric, value),
                *numbers,
                table.protocol[metric],
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
        f"INCOMPLETE: {method} on {name}, {share} images; not ranked"
        for (method, name), share in table.partial.items()
    ]
    counts = [f"{name}: {count} images" for name, count in table.sets.items()]
    protocol = [f"{metric}: {text}" for metric, text in table.protocol.items()]
    return [*incomplete, *table.notices, *counts, *protocol]


def _shared_metrics(folders: Sequence[ResultsFolder]) -> list[str]:
    rows = [row for folder in folders for row in folder.values.values()]
    shared = [metric for metric in rows[0] if all(metric in row for row in rows)] if rows else []
    if not shared:
        listed = ", ".join(str(folder.path) for folder in folders)
        raise UserError(f"no metric is in all of {listed}: score them by the same metrics")
    return shared


def _images(folders: Sequence[ResultsFolder], name: str) -> int:
    """How many images a data set has, by those that were scored on it completely."""
    counts = {
        folder.provenance.images[name]: folder.method
        for folder in folders
        if name in folder.provenance.images and name not in folder.provenance.partial
    }
    if len(counts) > 1:
        said = ", ".join(f"{count} ({method})" for count, method in counts.items())
        raise UserError(f"{name} has different numbers of images: {said}; score one version of it")
    if counts:
        return next(iter(counts))
    known = (folder.expected_images(name) for folder in folders)
    return next((count for count in known if count), 0)


def _differences(
    folders: Sequence[ResultsFolder],
    sets: Sequence[str],
    metrics: Sequence[str],
    values: Mapping[Key, float],
    partial: Mapping[tuple[str, str], str],
    seed: int,
) -> list[Difference]:
    found: list[Difference] = []
    for name in sets:
        whole = [
            folder
            for folder in folders
            if name in folder.values and (folder.method, name) not in partial
        ]
        if len(whole) < 2 or not _are_of_the_same_images(whole, name):
            continue
        draws = draw_images(len(whole[0].per_image[name].names), RESAMPLES, seed)
        drawn = {
            folder.method: resample(folder.image_results(name), metrics, draws) for folder in whole
        }
        for metric in metrics:
            pick = max if higher_is_better(metric, whole[0].protocol[metric]) else min
            found += _from_best(name, metric, drawn, values, draws.shape[1], pick)
    return found


def _are_of_the_same_images(folders: Sequence[ResultsFolder], name: str) -> bool:
    names = folders[0].per_image[name].names
    return all(folder.per_image[name].names == names for folder in folders[1:])


def _from_best(
    name: str,
    metric: str,
    drawn: Mapping[str, Mapping[str, np.ndarray]],
    values: Mapping[Key, float],
    images: int,
    pick: Callable[..., str],
) -> list[Difference]:
    printed = {m: values[m, name, metric] for m in drawn if (m, name, metric) in values}
    printed = {method: value for method, value in printed.items() if not math.isnan(value)}
    if len(printed) < 2:
        return []
    best = pick(printed, key=lambda method: printed[method])
    tail = (1 - CONFIDENCE) / 2
    found = []
    for method, value in printed.items():
        if method == best:
            continue
        gaps = drawn[method][metric] - drawn[best][metric]
        low, high = (float(end) for end in np.nanquantile(gaps, (tail, 1 - tail)))
        apart = value - printed[best]
        found.append(Difference(method, name, metric, best, images, apart, low, high))
    return found
