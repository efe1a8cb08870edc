"""Cuts single images out of the sheets that a run's gallery wrote."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from .runs import Run
from .table import higher_is_better

_HEIGHT = 96
_SHOWN = 2
_SEPARATOR = 96  # the grey between a sheet's rows
_SEPARATOR_ROWS = 4
_PREFERRED = ("s_measure", "iou", "max_f", "mae")


class Thumbnail(NamedTuple):
    """An image of a gallery, `image | truth | prediction | error`, as JPEG bytes."""

    name: str
    metric: str
    value: float
    jpeg: bytes


def best_and_worst(run: Run, test_set: str) -> tuple[list[Thumbnail], list[Thumbnail]]:
    """The best and the worst of the images in a run's gallery, none where it cannot be read.

    A gallery shows the first images of a set; of a run on several devices it shows only those of
    the first, which cannot be told by their place, so that such a gallery is left out.
    """
    shown = _shown(run, test_set)
    half = min(_SHOWN, len(shown) // 2)
    return shown[:half], shown[::-1][:half]


def _shown(run: Run, test_set: str) -> list[Thumbnail]:
    trainer = run.config.get("trainer", {})
    if trainer.get("devices") != 1 or trainer.get("num_nodes", 1) != 1:
        return []
    rows = run.per_image(test_set)
    metric = next((m for m in _PREFERRED if rows and rows[0].get(m)), None)
    sheets = _cut(run.folder / "gallery" / f"test_{test_set}.png")
    if metric is None or len(sheets) > len(rows):
        return []
    named = zip(sheets, rows, strict=False)
    thumbnails = [Thumbnail(r["name"], metric, float(r[metric]), _jpeg(s)) for s, r in named]
    return sorted(thumbnails, key=lambda t: t.value, reverse=higher_is_better(metric))


def _cut(path: Path) -> list[np.ndarray]:
    """The rows of a sheet, without the grey around them."""
    sheet = cv2.imread(str(path)) if path.is_file() else None
    if sheet is None:
        return []
    grey = (sheet == _SEPARATOR).all(axis=(1, 2))
    rows, start, run = [], 0, 0
    for y, is_grey in enumerate(grey):
        run = run + 1 if is_grey else 0
        if run == _SEPARATOR_ROWS:
            rows.append(_without_padding(sheet[start : y + 1 - run]))
            start, run = y + 1, 0
    return [row for row in rows if row.size]


def _without_padding(row: np.ndarray) -> np.ndarray:
    filled = np.flatnonzero((row != _SEPARATOR).any(axis=(0, 2)))
    return row[:, : filled[-1] + 1] if filled.size else row[:, :0]


def _jpeg(image: np.ndarray) -> bytes:
    width = max(1, round(image.shape[1] * _HEIGHT / image.shape[0]))
    small = cv2.resize(image, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
