"""Writes what a test found: results.json, per_image.csv and a table in Markdown."""

import csv
import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src import render
from src.atomic import atomic_write
from src.errors import UserError
from src.hashing import bytes_hash
from src.plain_data import read_json

log = logging.getLogger(__name__)

ResultRow = Mapping[str, float | None]
ResultTable = Mapping[str, ResultRow]

RESULTS = "results.json"
PER_IMAGE = "per_image.csv"
TABLE = "results.md"


def write_results(folder: Path, results: ResultTable) -> None:
    """`{data set: {metric: value}}` as JSON; null where a metric is undefined on all images."""
    rows = {
        data: {metric: None if is_undefined(value) else value for metric, value in row.items()}
        for data, row in results.items()
    }
    atomic_write(folder / RESULTS, json.dumps(rows, indent=2) + "\n")


def write_per_image(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line an image, with its data set and name first, which stay as they are."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["set", "name"])
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(folder / PER_IMAGE, text.getvalue())


def digests(folder: Path) -> dict[str, str]:
    """A checksum of each file of numbers, to be kept beside what they mean."""
    return {name: digest(folder / name) for name in (RESULTS, PER_IMAGE)}


def digest(path: Path) -> str:
    """SHA-256 of a file of numbers; empty where there is none."""
    return bytes_hash(path.read_bytes()) if path.is_file() else ""


def is_undefined(value: float | None) -> bool:
    """Whether a metric has no value: it is undefined on every image."""
    return value is None or math.isnan(value)


def markdown(
    rows: Sequence[tuple[str, str, int, ResultRow]], note: str = "", digits: int = 4
) -> str:
    """A table with a line for each (method, data set, number of images, values).

    `note` is Markdown; all else is text, and is escaped.
    """
    metrics = list(dict.fromkeys(name for *_, values in rows for name in values))
    lines: list[list[str | int]] = [
        [
            *(method, data, count),
            *(_number(values[m], digits) if m in values else "–" for m in metrics),
        ]
        for method, data, count, values in rows
    ]
    table = render.markdown_table(["method", "data", "N", *metrics], lines, "lllr")
    return f"{table}\n{note}\n" if note else table


def _number(value: float | None, digits: int) -> str:
    return "n/a" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def read_results(folder: Path) -> dict[str, dict[str, float]]:
    """The metrics of a job by test set; none where it left none or a damaged file."""
    path = folder / RESULTS
    if not path.is_file():
        return {}
    advice = "remove it and job.json: the job is then done again"
    try:
        results = read_json(path, advice)
        if not all(isinstance(row, dict) for row in results.values()):
            raise UserError(f"{path} is damaged (not metrics by test set); {advice}")
    except UserError as error:
        log.warning("%s", error)
        return {}
    return results
