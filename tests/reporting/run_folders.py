"""Writes run folders as a finished `train.py` leaves them, through the runs' own writers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from src.metrics import ImageResult
from src.results.schema import CURVES
from src.results.write import SetResults, write_results_folder
from src.training import provenance
from src.training.config import save_config

GIT = {"commit": "abc", "dirty": False}
PROTOCOL = {"mae": "mean absolute error", "max_f": "256 thresholds", "s_measure": "alpha 0.5"}


def write_run(
    folder: Path,
    tables: Mapping[str, Mapping[str, float]],
    *,
    name: str = "isnet/dis5k",
    model: str = "isnet",
    seed: int = 0,
    train: Sequence[str] = ("DIS-TR",),
    val: Sequence[str] = ("DIS-VD",),
    config: Mapping[str, Any] | None = None,
    images: Mapping[str, int] | None = None,
    expected: int | None = 2,
    protocol: Mapping[str, str] | None = None,
    **entries: Any,
) -> Path:
    """A run with two images in each test set; `entries` go to its provenance as they are."""
    cfg = {
        "name": name,
        "seed": seed,
        "fit": True,
        "model": {"name": model, "size": 64},
        "data": {"root": "sets", "seed": seed, "test": {s: {"count": expected} for s in tables}},
        "trainer": {"devices": 1, "num_nodes": 1},
        "weights": None,
        "folder": "<run>",
    }
    cfg |= {key: value for key, value in (config or {}).items() if key == "fit"}
    save_config(OmegaConf.merge(cfg, dict(config or {})), folder)  # type: ignore[arg-type]
    kind = "run" if cfg["fit"] else "checkpoint"
    said = dict(protocol if protocol is not None else PROTOCOL)
    write_scores(folder, tables, kind=kind, method=model, protocol=said)
    found = {
        "git": GIT,
        "seed": seed,
        "data": {"train": {"sets": list(train)}, "val": {"sets": list(val)}},
        "images": dict(images or dict.fromkeys(tables, 2)),
        "finished": True,
    }
    provenance.write(folder, **{**found, **entries})
    return folder


def keep_pictures(folder: Path, test_set: str, process: int, errors: Sequence[float]) -> None:
    """As `Extremes` leaves them: a file for each image and one about them."""
    images = folder / "extremes" / test_set
    images.mkdir(parents=True, exist_ok=True)
    entries = []
    for rank, error in enumerate(errors):
        file = f"{process}_{rank}.jpg"
        (images / file).write_bytes(f"picture of {error}".encode())
        entries.append({"name": f"image_{error}", "error": error, "file": file})
    (images / f"{process}.json").write_text(json.dumps(entries))


def keep_curves(folder: Path, test_set: str = "SOD", height: float = 1.0) -> None:
    """As `ResultWriter` leaves them: 256 thresholds; precision rises to `height`."""
    steps = [height * i / 255 for i in range(256)]
    curve = {"precision": steps, "recall": steps[::-1], "f": steps}
    (folder / "curves.json").write_text(json.dumps({test_set: curve}))


def write_scores(
    folder: Path, tables: Mapping[str, Mapping[str, float]], *, images: int = 2, **entries: Any
) -> Path:
    """The files of `src.results`, with as many images in each set; without curves.

    Curves take their time to draw, and are not what most tables are tested for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = set.intersection(*(set(values) for values in tables.values()))
    sets = {
        name: SetResults(
            values,
            [f"image_{i}" for i in range(images)],
            [scored({m: values[m] + i / 100 for m in sorted(shared)}) for i in range(images)],
        )
        for name, values in tables.items()
    }
    given = {"kind": "maps", "method": folder.name, "protocol": PROTOCOL, "git": GIT, **entries}
    write_results_folder(folder, sets, **given)  # type: ignore[arg-type]
    (folder / CURVES).unlink()
    said = provenance.read(folder)
    provenance.write(folder, files={k: v for k, v in said["files"].items() if k != CURVES})
    return folder


def scored(values: dict[str, float]) -> ImageResult:
    """An image with these values, and a map that is right at most of its pixels."""
    histogram = np.zeros((2, 256), np.int64)
    histogram[0, [0, 30]], histogram[1, [90, 255]] = (200, 7), (11, 100)
    return ImageResult(values, histogram)
