"""Reads a folder with results as typed values; the large files when they are asked for."""

import io
import logging
import math
import zipfile
import zlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from src.errors import UserError
from src.hashing import bytes_hash
from src.metrics import ImageResult, records
from src.plain_data import read_csv, read_json
from src.render import one_line
from src.results.schema import (
    CURVES,
    HISTOGRAMS,
    KEPT,
    NO_METHOD,
    OLD_PROTOCOL,
    PER_IMAGE,
    PROVENANCE,
    RESULTS,
    SCHEMA,
    Histograms,
    ImageTable,
    Kind,
    Number,
    Provenance,
    Values,
)

log = logging.getLogger(__name__)

RUN_CONFIG = "config.yaml"
THRESHOLDS = 256
CURVE_NAMES = ("precision", "recall", "f")
_OF_ONE = (2, 256)
_SHOWN = 60  # characters of a value in a message
_HEAD_OF_AN_ARRAY = 4096  # bytes, at most, before an array's values

# What zipfile, zlib and NumPy raise at bytes that are no archive of arrays.
_DAMAGED = (
    *(ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error),
    *(NotImplementedError, RuntimeError),
)

_Table = dict[str, dict[str, Number | None]]
_RESULTS: TypeAdapter[_Table] = TypeAdapter(_Table)
_PROVENANCE: TypeAdapter[Provenance] = TypeAdapter(Provenance)


@dataclass(frozen=True)
class ResultsFolder:
    """What a folder with results holds.

    `per_image`, `histograms`, `categories`, `kept` and `curves` are read when they are first asked
    for.

    Attributes:
        path: Where it lies.
        provenance: What the numbers mean and where they come from.
        values: `{data set: {metric: value}}`; NaN where a metric is undefined on every image.
    """

    path: Path
    provenance: Provenance
    values: Mapping[str, Mapping[str, float]]

    @property
    def kind(self) -> Kind:
        """Whether a run trained, a checkpoint was scored, or a folder of maps."""
        return self.provenance.kind

    @property
    def method(self) -> str:
        """What tables call it."""
        return self.provenance.method

    @property
    def protocol(self) -> Mapping[str, str]:
        """How each metric was computed, in words that begin with the protocol's id."""
        return self.provenance.protocol

    @cached_property
    def per_image(self) -> dict[str, ImageTable]:
        """The images of each data set, in the file's order.

        Sets need not have been scored by the same metrics: a column that is empty for all images of
        a set is none of its metrics.

        Raises:
            UserError: The file is missing or damaged, names an image twice, holds what is no finite
                number of a metric that is always defined, or another number of images than scored.
        """
        path, advice = self.path / PER_IMAGE, advice_for(self.path)
        rows = read_csv(path, advice)
        if rows and not {"set", "name"} <= rows[0].keys():
            raise UserError(f"{path}: no columns 'set' and 'name'; {advice}")
        of_set: dict[str, dict[str, tuple[int, dict[str, str]]]] = {
            name: {} for name in self.values
        }
        for line, row in enumerate(rows, 2):
            test_set, name = row.pop("set"), row.pop("name")
            images = of_set.setdefault(test_set, {})
            if name in images:
                shown = one_line(f"{test_set}/{name}")
                raise UserError(f"{path}:{line}: {shown} is there twice; {advice}")
            images[name] = line, row
        tables = {
            name: _image_table(images, self.values.get(name, ()), path, advice)
            for name, images in of_set.items()
        }
        self._require_counts(path, {name: len(table.names) for name, table in tables.items()})
        return tables

    @property
    def has_histograms(self) -> bool:
        """Whether there are histograms, which older versions did not store."""
        return (self.path / HISTOGRAMS).is_file()

    @cached_property
    def histograms(self) -> dict[str, Histograms]:
        """Pixels by ground truth and gray level, `(n, 2, 256)` for each data set.

        The images are those of `per_image`, in its order. Entry `[i, 1, v]` counts the foreground
        pixels of image `i` to which the prediction gives the gray level `v`.

        Raises:
            UserError: The file is damaged or of other images, or older than such files.
        """
        return {name: found for name, (found, _) in self._archive.items()}

    @cached_property
    def categories(self) -> dict[str, npt.NDArray[np.int64]]:
        """The category of each object, `(n,)` for each data set; 0 for images without one.

        Raises:
            UserError: As `histograms`.
        """
        return {name: found for name, (_, found) in self._archive.items()}

    @cached_property
    def kept(self) -> dict[str, dict[str, Values]]:
        """What a set's value needs of each image beside its histogram, `(n, size)` by name.

        Nothing in folders without such metrics, nor in those of versions that did not store it.

        Raises:
            UserError: The file is damaged or of another number of images.
        """
        path, advice = self.path / KEPT, advice_for(self.path)
        counts = {name: len(table.names) for name, table in self.per_image.items()}
        if not path.is_file():
            return {name: {} for name in counts}
        try:
            found = _read_kept(path, sum(counts.values()))
        except _DAMAGED as error:
            raise UserError(f"{path} is damaged ({one_line(error)[:_SHOWN]}); {advice}") from None
        split, start = {}, 0
        for name, count in counts.items():
            part = slice(start, start := start + count)
            rows = {kept: numbers[part] for kept, numbers in found.items()}
            split[name] = {kept: own for kept, own in rows.items() if not np.isnan(own).all()}
        return split

    @cached_property
    def curves(self) -> dict[str, dict[str, Values]]:
        """`precision`, `recall` and `f` `(256,)` of each data set, lowest threshold first.

        Each is averaged over the images of a set. Sets without curves are left out.

        Raises:
            UserError: The file is damaged.
        """
        path, advice = self.path / CURVES, advice_for(self.path)
        stored = read_json(path, advice) if path.is_file() else {}
        return {name: _curves(path, name, given, advice) for name, given in stored.items()}

    def image_results(self, test_set: str) -> list[ImageResult]:
        """The scored images of a data set as a scorer leaves them, for `src.metrics.summarize`.

        Raises:
            UserError: As `per_image`, `histograms` and `kept`.
        """
        table, kept = self.per_image[test_set], self.kept[test_set]
        counts, categories = self.histograms[test_set], self.categories[test_set]
        return [
            ImageResult(
                {metric: float(values[i]) for metric, values in table.values.items()},
                counts[i],
                int(categories[i]),
                {name: numbers[i] for name, numbers in kept.items()},
            )
            for i in range(len(table.names))
        ]

    def trimaps(self, test_set: str) -> str | None:
        """The hash of the trimaps that a data set was scored with; None for none."""
        part = self.provenance.data.get(f"test/{test_set}")
        return None if part is None else part.trimaps

    def expected_images(self, test_set: str) -> int | None:
        """How many images a data set has, scored or not; None where that was not written down."""
        part = self.provenance.data.get(f"test/{test_set}")
        if part is not None and part.count is not None:
            return part.count
        total = self.provenance.partial.get(test_set, "").rpartition(" of ")[2]
        return int(total) if total.isdecimal() else None

    @cached_property
    def _archive(self) -> dict[str, tuple[Histograms, npt.NDArray[np.int64]]]:
        """Histograms and categories of each data set."""
        path, advice = self.path / HISTOGRAMS, advice_for(self.path)
        if not path.is_file():
            raise UserError(
                f"no file {path}: an older version of finecut wrote the folder, or it was removed; "
                f"{advice}"
            )
        tables = self.per_image
        keys = [(name, image) for name, table in tables.items() for image in table.names]
        try:
            found = _read_archive(path, keys)
        except _DAMAGED as error:
            raise UserError(f"{path} is damaged ({one_line(error)[:_SHOWN]}); {advice}") from None
        if list(zip(found["set"].tolist(), found["name"].tolist(), strict=True)) != keys:
            raise UserError(f"{path} is of other images than {PER_IMAGE} beside it; {advice}")
        split, start = {}, 0
        for name, table in tables.items():
            part = slice(start, start := start + len(table.names))
            split[name] = (found["histogram"][part].astype(np.int64), found["category"][part])
        return split

    def _require_counts(self, path: Path, counts: Mapping[str, int]) -> None:
        for name, count in self.provenance.images.items():
            if counts.get(name, 0) != count:
                raise UserError(
                    f"{path} holds {counts.get(name, 0)} images of {one_line(name)}, and was "
                    f"written with {count}; {advice_for(self.path)}"
                )


def read_results_folder(folder: str | Path) -> ResultsFolder:
    """The results of a run, of a scored checkpoint or of a scored folder of maps.

    Folders of older versions are read as far as they go.

    Raises:
        UserError: There are no results, a file is damaged, of a newer version, or was changed
            since it was written; file and key are named.
    """
    path = Path(folder)
    advice = advice_for(path)
    if not (path / RESULTS).is_file():
        raise UserError(f"no {path / RESULTS}: give a folder that finecut evaluate or a run wrote")
    provenance = _provenance(path, advice)
    table = parse_as(
        _RESULTS, read_json(path / RESULTS, advice, finite=True), path / RESULTS, advice
    )
    for name, stated in provenance.files.items():
        if stated != checksum(path / Path(name).name):
            raise UserError(
                f"{path / Path(name).name} was changed since it was written, by its checksum in "
                f"{PROVENANCE}; {advice}"
            )
    values = {
        name: {metric: math.nan if v is None else v for metric, v in row.items()}
        for name, row in table.items()
    }
    return ResultsFolder(path, provenance, values)


def refuse_mixed_trimaps(folders: Iterable[ResultsFolder]) -> None:
    """Refuse numbers of one data set that were made with different trimaps.

    How wide the unknown region is drawn changes them as much as methods do.

    Raises:
        UserError: Naming the set and two folders.
    """
    seen: dict[str, tuple[str | None, Path]] = {}
    for one in folders:
        for name, row in one.values.items():
            if not any((known := records().get(m)) and known.needs_trimap for m in row):
                continue
            mine = one.trimaps(name)
            theirs, other = seen.setdefault(name, (mine, one.path))
            if mine != theirs:
                raise UserError(
                    f"{one_line(name)} was scored with different trimaps and cannot share a table:"
                    f"\n  {other}: trimaps {(theirs or 'unknown')[:12]}"
                    f"\n  {one.path}: trimaps {(mine or 'unknown')[:12]}"
                    "\n  Score both with the same (trimaps=DIR), or collect them apart"
                )


def read_if_sound(folder: Path, advice: str = "") -> ResultsFolder | None:
    """The results of a folder; None where it has none, or, said in a warning, damaged ones."""
    if not (folder / RESULTS).is_file():
        return None
    try:
        return read_results_folder(folder)
    except UserError as error:
        log.warning("%s%s", error, f"; {advice}" if advice else "")
        return None


def has_results(folder: Path) -> bool:
    """Whether a folder looks like one with results, sound or not."""
    named = (PROVENANCE, OLD_PROTOCOL)
    return (folder / RESULTS).is_file() and any((folder / name).is_file() for name in named)


def advice_for(folder: Path) -> str:
    """What to do where a folder's results cannot be used."""
    return "test the run again" if (folder / RUN_CONFIG).is_file() else "score the maps again"


def checksum(path: Path) -> str:
    """SHA-256 of a file of numbers; empty where there is none."""
    return bytes_hash(path.read_bytes()) if path.is_file() else ""


def parse_as(adapter: TypeAdapter[Any], content: Any, path: Path, advice: str) -> Any:
    """Plain values as those of a type.

    Raises:
        UserError: With the file, the key of the first value that does not fit, and the value.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = one_line(".".join(str(part) for part in first["loc"]))
        shown = repr(first["input"]) if first["type"] != "missing" else "missing"
        shown = one_line(shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}...")
        wanted = first["msg"].removeprefix("Input ").removeprefix("Value error, ")
        raise UserError(f"{path}: {key} is {shown}, but {wanted}; {advice}") from None


def _provenance(folder: Path, advice: str) -> Provenance:
    named = (PROVENANCE, OLD_PROTOCOL)
    path = next((folder / name for name in named if (folder / name).is_file()), None)
    if path is None:
        raise UserError(
            f"{folder}: no {PROVENANCE}, so nothing says how its numbers were made; {advice}"
        )
    found = {key: value for key, value in read_json(path, advice).items() if value is not None}
    schema = found.get("schema", 1)
    if isinstance(schema, int) and schema > SCHEMA:
        raise UserError(
            f"{path}: a newer version of finecut wrote it (schema {schema}; this one knows "
            f"{SCHEMA}); update finecut, or {advice}"
        )
    if "schema" not in found:
        found = _as_schema_1(found, path)
    provenance: Provenance = parse_as(_PROVENANCE, found, path, advice)
    if provenance.method == NO_METHOD:
        provenance = replace(provenance, method=folder.resolve().name)
    return provenance


def _as_schema_1(found: dict[str, Any], path: Path) -> dict[str, Any]:
    """What older versions wrote, under the names of today; what they did not say stays unsaid."""
    if path.name == OLD_PROTOCOL:
        # Of a folder's files, only per_image.csv was checked.
        method = path.parent.resolve().name.removesuffix("_scores")
        said = {"kind": "maps", "method": method, "left_out": found.pop("left out", [])}
        return {"schema": 1, **said, **found}
    config = found.get("config")
    config = config if isinstance(config, dict) else {}
    said = {"kind": "checkpoint" if config.get("fit") is False else "run"}
    if isinstance(model := config.get("model"), dict) and isinstance(model.get("name"), str):
        said["method"] = model["name"]
    return {"schema": 1, **said, **found}


def _value(name: str, text: str, place: str, advice: str) -> float:
    """A number; NaN where the metric may be undefined, as on an image without a boundary."""
    try:
        value = float(text or "nan")
    except ValueError:
        raise UserError(f"{place}: {name} is {text[:40]!r}, no number; {advice}") from None
    known = records().get(name)
    may_be_undefined = known is not None and known.may_be_undefined
    if not math.isfinite(value) and not (math.isnan(value) and may_be_undefined):
        raise UserError(f"{place}: {name} is {text or 'empty'}, no finite number; {advice}")
    return value


def _image_table(
    images: Mapping[str, tuple[int, Mapping[str, str]]],
    summarized: Container[str],
    path: Path,
    advice: str,
) -> ImageTable:
    """The images of one set.

    Args:
        images: The line of each, and its cells by metric.
        summarized: Metrics that the set has a value of.
        path: Of the file, for messages.
        advice: What to do where a cell holds no number.
    """
    _, first = next(iter(images.values()), (0, {}))
    metrics = [
        name
        for name in first
        if name in summarized or any(cells[name] for _, cells in images.values())
    ]
    columns = {
        name: np.array(
            [
                _value(name, cells[name], f"{path}:{line}", advice)
                for line, cells in images.values()
            ],
            np.float64,
        )
        for name in metrics
    }
    return ImageTable(tuple(images), columns)


def _read_archive(path: Path, keys: Sequence[tuple[str, str]]) -> dict[str, np.ndarray]:
    """The arrays of a file of histograms of these images, by data set and name.

    Raises:
        ValueError: There are others, or larger ones than these images have: nothing is unpacked.
    """
    count, data = len(keys), path.read_bytes()
    letters = [max((len(key[i]) for key in keys), default=1) for i in (0, 1)]
    # Of each array the kind of number, the shape, and the bytes of a row at most.
    expected: dict[str, tuple[str, tuple[int, ...], int]] = {
        "set": ("U", (count,), 4 * letters[0]),
        "name": ("U", (count,), 4 * letters[1]),
        "category": ("i", (count,), 8),
        "histogram": ("u", (count, *_OF_ONE), 8 * math.prod(_OF_ONE)),
    }
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    most = {f"{name}.npy": count * row for name, (*_, row) in expected.items()}
    if sizes.keys() != most.keys() or any(
        size > most[name] + _HEAD_OF_AN_ARRAY for name, size in sizes.items()
    ):
        raise ValueError(f"other arrays than those of {count} images")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in expected}
    for name, (kind, shape, _) in expected.items():
        array = found[name]
        if array.shape != shape or array.dtype.kind != kind:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not of {count} images")
    return found


def _read_kept(path: Path, count: int) -> dict[str, Values]:
    """The arrays of a file of kept numbers, `(count, size)` by name; only those of known metrics.

    Raises:
        ValueError: One is of another shape or kind, larger than it may be, or holds infinities.
    """
    sizes = {one.kept.name: one.kept.size for one in records().values() if one.kept is not None}
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        listed = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    found: dict[str, Values] = {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        for name in (name for name in listed if name in sizes):
            shape = (count, sizes[name])
            if listed[name].file_size > 8 * math.prod(shape) + _HEAD_OF_AN_ARRAY:
                raise ValueError(f"{name} is larger than that of {count} images")
            array = arrays[name]
            if array.shape != shape or array.dtype != np.float64 or np.isinf(array).any():
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not of {count} images")
            found[name] = array
    return found


def _curves(path: Path, name: str, stored: Any, advice: str) -> dict[str, Values]:
    try:
        curves = {one: np.asarray(stored[one], dtype=np.float64) for one in CURVE_NAMES}
    except (TypeError, ValueError, KeyError, IndexError):
        curves = {}
    if not curves or any(
        curve.shape != (THRESHOLDS,) or not np.isfinite(curve).all() for curve in curves.values()
    ):
        wanted = f"{', '.join(CURVE_NAMES)} of {THRESHOLDS} numbers each"
        raise UserError(f"{path}: {one_line(name)} needs {wanted}; {advice}")
    return curves
