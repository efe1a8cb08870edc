"""Writes a folder with results, whoever scored: a run's test, or a scorer of maps."""

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from src import __version__
from src.atomic import atomic_write
from src.metrics import ImageResult, degenerate, mean_curves, undefined
from src.render import data_csv
from src.results import provenance
from src.results.folder import checksum
from src.results.schema import (
    CHECKED,
    CURVES,
    HISTOGRAMS,
    KEPT,
    OLD_PROTOCOL,
    PER_IMAGE,
    RESULTS,
    SCHEMA,
    Kind,
)


@dataclass(frozen=True)
class SetResults:
    """What was scored of one data set.

    Attributes:
        values: `{metric: value}` of the set; NaN where a metric is undefined on every image.
        names: Of the images, in order.
        images: Their scores, in the same order.
    """

    values: Mapping[str, float]
    names: Sequence[str]
    images: Sequence[ImageResult]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.images):
            raise ValueError(f"{len(self.names)} names for {len(self.images)} images")

    def metrics(self) -> list[str]:
        """The metrics that single images have."""
        return list(self.images[0].values) if self.images else []


def write_results_folder(
    folder: Path,
    sets: Mapping[str, SetResults],
    *,
    kind: Kind,
    method: str,
    protocol: Mapping[str, str],
    **entries: Any,
) -> None:
    """Write all files of `src.results`, `provenance.json` last: it holds the others' checksums.

    A run's provenance, which tells of its training, gains these entries; that of maps is written
    anew, and takes the place of the file in which older versions kept it.

    Args:
        folder: An existing folder.
        sets: By name, in the order of the tables.
        kind: What was scored.
        method: What tables call it.
        protocol: How each metric was computed.
        entries: Further fields of `Provenance`.
    """
    atomic_write(folder / PER_IMAGE, _per_image(sets))
    atomic_write(folder / HISTOGRAMS, _histograms(sets))
    if (kept := _kept(sets)) is not None:
        atomic_write(folder / KEPT, kept)
    else:
        (folder / KEPT).unlink(missing_ok=True)  # of other metrics, scored before
    curves = {name: _curves(one) for name, one in sets.items() if one.images}
    atomic_write(folder / CURVES, json.dumps(curves) + "\n")
    values = {name: _without_nan(one.values) for name, one in sets.items()}
    atomic_write(folder / RESULTS, json.dumps(values, indent=2) + "\n")
    known = {"git": provenance.git_state()} if kind == "maps" else provenance.read(folder)
    said = {
        "schema": SCHEMA,
        "kind": kind,
        "method": method,
        "protocol": dict(protocol),
        "images": {name: len(one.images) for name, one in sets.items()},
        "degenerate": {name: degenerate(one.images) for name, one in sets.items()},
        "undefined": {name: undefined(one.images, one.metrics()) for name, one in sets.items()},
        "finecut": __version__,
        "files": {name: checksum(folder / name) for name in CHECKED},
    }
    provenance.replace(folder, {**known, **said, **entries})
    if kind == "maps":
        (folder / OLD_PROTOCOL).unlink(missing_ok=True)


def _per_image(sets: Mapping[str, SetResults]) -> str:
    rows = [
        {"set": name, "name": image, **score.values}
        for name, one in sets.items()
        for image, score in zip(one.names, one.images, strict=True)
    ]
    # A set may have been scored by other metrics than the one before: its cells stay empty.
    columns = dict.fromkeys(column for row in rows for column in row)
    return data_csv(list(columns) or ["set", "name"], rows)


def _histograms(sets: Mapping[str, SetResults]) -> bytes:
    """All images' histograms `(n, 2, 256)`, their sets, names and categories, compressed.

    Most gray levels of a map are empty: a pair takes a few hundred bytes.
    """
    images = [image for one in sets.values() for image in one.images]
    counts = [image.histogram for image in images] or [np.zeros((0, 2, 256), np.int64)]
    return _archive(
        set=_texts(chain.from_iterable([name] * len(one.names) for name, one in sets.items())),
        name=_texts(chain.from_iterable(one.names for one in sets.values())),
        category=np.array([image.category for image in images], np.int64),
        histogram=np.array(counts, np.uint32) if images else counts[0].astype(np.uint32),
    )


def _kept(sets: Mapping[str, SetResults]) -> bytes | None:
    """What images keep beside value and histogram, `(n, size)` by name; None where none does.

    Rows of images that keep nothing under a name are NaN, which no metric keeps.
    """
    images = [image for one in sets.values() for image in one.images]
    sizes = {name: len(numbers) for image in images for name, numbers in image.kept.items()}
    if not sizes:
        return None
    arrays: dict[str, Any] = {
        name: np.stack([image.kept.get(name, np.full(size, np.nan)) for image in images])
        for name, size in sorted(sizes.items())
    }
    return _archive(**arrays)


def _archive(**arrays: np.ndarray) -> bytes:
    """Arrays as `np.savez_compressed` writes them, but the same bytes whenever it is.

    NumPy writes the time into the file, and compresses for three times as long to save a tenth.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getbuffer(), compresslevel=1)
    return file.getvalue()


def _texts(texts: Any) -> np.ndarray:
    """Names as text files hold them, so that both say the same."""
    plain = [text.encode("utf-8", "backslashreplace").decode() for text in texts]
    return np.array(plain, np.str_) if plain else np.zeros(0, "U1")


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {metric: None if math.isnan(value) else value for metric, value in values.items()}


def _curves(one: SetResults) -> dict[str, list[float]]:
    return {name: curve.tolist() for name, curve in mean_curves(one.images).items()}
