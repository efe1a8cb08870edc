"""Objects of instance data sets: what a source yields, and lists of objects found only once."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from .images import ImageError, read_image
from .pairs import DataError
from .remembered import remembered

log = logging.getLogger(__name__)

# Changes with what a record holds, so that lists of older versions are made anew.
_FORMAT = 1
_READERS = 8
_LABEL_MODES = ("P", "L", "1", "I", "I;16")


class Instance(NamedTuple):
    """One object in its image.

    image: uint8 RGB (H, W, 3).
    mask: uint8 (H, W), 255 on the object.
    void: uint8 (H, W), 255 where a pixel does not count.
    """

    image: np.ndarray
    mask: np.ndarray
    void: np.ndarray
    name: str
    category: int


class InstanceSource(Protocol):
    """A set of objects; everything else about samples is made once, in `instances.py`.

    One that reads files may list them as `files`; a resumed run then sees that one was replaced.
    """

    sets: tuple[str, ...]  # released sets that the objects are from, as the registry names them

    @property
    def names(self) -> list[str]:
        """Of the objects, in order."""
        ...

    def __len__(self) -> int: ...

    def sample(self, item: int) -> Instance: ...


class Record(NamedTuple):
    """Where an object is: `label` marks its pixels in `annotation`."""

    name: str
    image: str
    annotation: str
    label: int
    category: int
    area: int


class RecordedObjects(ABC):
    """An `InstanceSource` of records; a subclass says how its annotations are read.

    Args:
        records: Of the objects.
        sets: Released sets that they are from.
    """

    def __init__(self, records: Sequence[Record], sets: tuple[str, ...]) -> None:
        self.records, self.sets = list(records), sets

    @property
    def names(self) -> list[str]:
        return [record.name for record in self.records]

    @property
    def files(self) -> list[Path]:
        """Images and annotations that the objects are in."""
        return [*map(Path, dict.fromkeys(p for r in self.records for p in (r.image, r.annotation)))]

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, item: int) -> Instance:
        record = self.records[item]
        labels, void = self.labels_and_void(Path(record.annotation))
        image = read_image(Path(record.image))
        mask = as_mask(labels == record.label)
        return Instance(image, mask, as_mask(void), record.name, record.category)

    @abstractmethod
    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the objects and where nothing counts, both `(H, W)`."""


Finder = Callable[[Path, Path], list[Record]]


def remembered_records(
    files: Sequence[tuple[Path, Path]],
    find: Finder,
    cache_dir: Path,
    where: str,
    on_error: Literal["stop", "skip"] = "stop",
) -> list[Record]:
    """The objects of all annotation files, found once and kept in a JSON file.

    The list is keyed by the files' names, sizes and times of change; processes make it once.

    Args:
        files: Images and their annotations.
        find: Lists the objects of one image and annotation.
        cache_dir: Folder of the list.
        where: The data set, for messages.
        on_error: `stop` at annotations that cannot be read, or `skip` them with a warning each.

    Raises:
        DataError: Files that are missing or cannot be read, all of them.
    """
    _require(files, where)
    name = f"objects-{_state_hash(files, f'{where} {on_error}')}"
    found = remembered(cache_dir, name, lambda: _find_all(files, find, where, on_error))
    records = [Record(*entry) for entry in found]
    if empty := len(files) - len({record.annotation for record in records}):
        log.warning("%s: %d of %d images have no object to point at", where, empty, len(files))
    return records


def without_small(records: Iterable[Record], min_area: int, where: str) -> list[Record]:
    """Leave out objects of fewer than `min_area` pixels and say how many they were.

    Raises:
        DataError: None is left.
    """
    records = list(records)
    kept = [record for record in records if record.area >= max(min_area, 1)]
    if len(kept) < len(records):
        lost = len(records) - len(kept)
        log.warning("%s: %d objects left out, smaller than %d pixels", where, lost, min_area)
    if not kept:
        raise DataError(where, [f"no object of at least {min_area} pixels among {len(records)}"])
    return kept


def read_labels(path: Path) -> np.ndarray:
    """Read a map of instances or classes `(H, W)`, the palette's indices where it has one.

    Raises:
        ImageError: Missing, damaged, in colour, or larger than Pillow opens.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in _LABEL_MODES:
                raise ImageError(
                    f"{path}: pixels of kind {image.mode!r} are no labels; save an 8- or 16-bit map"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: {error}") from None


def label_areas(labels: np.ndarray, void: int | None = None) -> dict[int, int]:
    """Pixels of each label, without the background 0 and without `void`."""
    values, counts = np.unique(labels, return_counts=True)
    areas = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return {int(label): area for label, area in areas.items() if label not in (0, void)}


def as_mask(pixels: np.ndarray) -> np.ndarray:
    """Booleans as uint8, 0 and 255."""
    return pixels.astype(np.uint8) * np.uint8(255)


def _find_all(
    files: Sequence[tuple[Path, Path]], find: Finder, where: str, on_error: str
) -> list[Record]:
    log.info("%s: listing the objects of %d images, once", where, len(files))

    def attempt(pair: tuple[Path, Path]) -> list[Record] | str:
        try:
            return find(*pair)
        except ImageError as error:
            return str(error)

    with ThreadPoolExecutor(_READERS) as readers:
        found = list(readers.map(attempt, files))
    problems = [entry for entry in found if isinstance(entry, str)]
    if problems and on_error == "stop":
        raise DataError(where, problems)
    for problem in problems:
        log.warning("skipped %s", problem)
    return [record for entry in found if not isinstance(entry, str) for record in entry]


def _require(files: Sequence[tuple[Path, Path]], where: str) -> None:
    if missing := [path for pair in files for path in pair if not path.is_file()]:
        raise DataError(where, [f"no file {path}" for path in missing])


def _state_hash(files: Sequence[tuple[Path, Path]], where: str) -> str:
    digest = hashlib.sha256(repr((where, _FORMAT)).encode())
    for image, annotation in files:
        state = annotation.stat()
        entry = (image.resolve(), annotation.resolve(), state.st_size, state.st_mtime_ns)
        digest.update(repr(tuple(map(str, entry))).encode())
    return digest.hexdigest()[:16]
