"""Writes run folders as a finished `train.py` leaves them, through the runs' own writers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from src.training import provenance, results
from src.training.config import save_config

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
    save_config(OmegaConf.merge(cfg, dict(config or {})), folder)  # type: ignore[arg-type]
    results.write_results(folder, tables)
    results.write_per_image(folder, _rows(tables))
    found = {
        "git": {"commit": "abc", "dirty": False},
        "seed": seed,
        "data": {"train": {"sets": list(train)}, "val": {"sets": list(val)}},
        "protocol": dict(protocol if protocol is not None else PROTOCOL),
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


def _rows(tables: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    return [
        {"set": test_set, "name": f"image_{i}", **{m: v + i / 100 for m, v in values.items()}}
        for test_set, values in tables.items()
        for i in range(2)
    ]
