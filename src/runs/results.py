"""Writes what a test found: results.json, per_image.csv and a table in Markdown."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.whole_file import write_whole

Row = Mapping[str, float]
Table = Mapping[str, Row]

RESULTS = "results.json"
PER_IMAGE = "per_image.csv"
TABLE = "results.md"


def write_results(folder: Path, results: Table, name: str = RESULTS) -> None:
    """`{data set: {metric: value}}` as JSON."""
    write_whole(folder / name, json.dumps(results, indent=2) + "\n")


def write_per_image(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line an image, with its data set and name first."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["set", "name"])
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / PER_IMAGE, text.getvalue())


def markdown(rows: Sequence[tuple[str, str, int, Row]], note: str = "", digits: int = 4) -> str:
    """A table with a line for each (method, data set, number of images, values)."""
    metrics = list(dict.fromkeys(name for *_, values in rows for name in values))
    lines = [["method", "data", "N", *metrics], ["---"] * 3 + ["---:"] * len(metrics)]
    for method, data, count, values in rows:
        numbers = [f"{values[m]:.{digits}f}" if m in values else "–" for m in metrics]
        lines.append([method, data, str(count), *numbers])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{table}\n{note}\n" if note else table
