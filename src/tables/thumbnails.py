"""Reads the pictures that a run kept of its best and worst images."""

import json
from pathlib import Path
from typing import NamedTuple

from src.errors import UserError

from .runs import Run

FOLDER = "extremes"
_SHOWN = 3


class Thumbnail(NamedTuple):
    """`image | truth | prediction | error` as JPEG bytes, with the map's mean absolute error."""

    name: str
    error: float
    jpeg: bytes


def best_and_worst(run: Run, test_set: str) -> tuple[list[Thumbnail], list[Thumbnail]]:
    """The best images of a test set, best first, and the worst, worst first.

    None where the run kept none.
    """
    kept = sorted(_kept(run.folder / FOLDER / test_set), key=lambda entry: entry[:2])
    half = min(_SHOWN, len(kept) // 2)
    shown = [Thumbnail(name, error, path.read_bytes()) for error, name, path in kept]
    return shown[:half], shown[::-1][:half]


def _kept(folder: Path) -> list[tuple[float, str, Path]]:
    """Of all processes, each of which wrote a file about its own images."""
    found = []
    for index in sorted(folder.glob("*.json")):
        try:
            for entry in json.loads(index.read_text(encoding="utf-8")):
                path = folder / entry["file"]
                if path.is_file():
                    found.append((float(entry["error"]), str(entry["name"]), path))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{index} is damaged ({error}); test the run again") from error
    return found
