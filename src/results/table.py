"""The table of a test, of fine-tuning and of a sweep: methods on data sets, a column a metric."""

import math
from collections.abc import Mapping, Sequence

from src import render

ResultRow = Mapping[str, float]


def markdown(
    rows: Sequence[tuple[str, str, int, ResultRow]], note: str = "", digits: int = 4
) -> str:
    """A table with a line for each (method, data set, number of images, values).

    `note` is Markdown; all else is text, and is escaped. NaN is a metric that is undefined on all
    images.
    """
    metrics = list(dict.fromkeys(name for *_, values in rows for name in values))
    lines: list[list[str | int]] = [
        [
            *(method, data, count),
            *(_number(values[m], digits) if m in values else render.MISSING for m in metrics),
        ]
        for method, data, count, values in rows
    ]
    table = render.markdown_table(["method", "data", "N", *metrics], lines, "lllr")
    return f"{table}\n{note}\n" if note else table


def _number(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"
