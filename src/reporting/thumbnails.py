"""The best and worst images of a test set, which a run's test has kept."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from src.errors import UserError
from src.reporting.runs import Run

FOLDER = "extremes"
_SHOWN = 3
_LARGEST = 1 << 24  # bytes of an image or an index


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
