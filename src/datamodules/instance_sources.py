"""Objects of instance data sets: what a source yields, found once and kept; objects in folders."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np

from src.cache import CacheFolder, key_of_files
from src.datamodules.images import ImageError, read_image
from src.datamodules.label_maps import (
    OBJECTS_OF_A_CLASS,
    READERS,
    SINGLE,
    VOID,
    Kind,
    as_mask,
    label_areas,
    read_binary,
)
from src.datamodules.pairs import (
    DataError,
    ImageMaskPair,
    index_pairs,
    index_sets,
    join_sets,
    split_by_hash,
)
from src.datamodules.sources import FolderPair
from src.paths import cache_folder

log = logging.getLogger(__name__)

# Changes with what a record holds, so that lists of older versions are made anew.
_FORMAT = 2
_READERS = 8
Part = Literal["all", "train", "held_out"]
PARTS = ("all", "train", "held_out")
_WITH_VOID = ("ids", "binary")


class Instance(NamedTuple):
    """One object in its image.

    image: uint8 RGB (H, W, 3).
    mask: uint8 (H, W), 255 on the object.
    void: uint8 (H, W), 255 where a pixel does not count.
    start_mask: uint8 (H, W), above 128 where a first mask has the object, which clicks are to
        correct; None where a set has no such masks.
    """

    image: np.ndarray
    mask: np.ndarray
    void: np.ndarray
    name: str
    category: int
    start_mask: np.ndarray | None = None


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


class InstanceAnnotation(NamedTuple):
    """Where an object is: `label` marks its pixels in `annotation`."""

    name: str
    image: str
    annotation: str
    label: int
    category: int
    area: int


class InstanceList(ABC):
    """An `InstanceSource` of records; a subclass says how its annotations are read.

    Args:
        records: Of the objects.
        sets: Released sets that they are from.
    """

    def __init__(self, records: Sequence[InstanceAnnotation], sets: tuple[str, ...]) -> None:
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


Files = Sequence[tuple[Path, ...]]
Finder = Callable[..., list[InstanceAnnotation]]


def cached_annotations(
    files: Files,
    find: Finder,
    cache_dir: Path,
    where: str,
    on_error: Literal["stop", "skip"] = "stop",
) -> list[InstanceAnnotation]:
    """The objects of all annotation files, found once and kept.

    The list is keyed by the files' names, sizes and times of change; processes make it once.

    Args:
        files: An image, its annotation and whatever else says where its objects are.
        find: Lists the objects of one such group of files.
        cache_dir: Folder of the list.
        where: The data set, for messages.
        on_error: `stop` at annotations that cannot be read, or `skip` them with a warning each.

    Raises:
        DataError: Files that are missing or cannot be read, all of them.
    """
    _require(files, where)
    key = key_of_files(chain.from_iterable(files), where, on_error)
    cache = CacheFolder(cache_dir, "objects", _FORMAT)
    found = cache.get_json(key, lambda: _find_all(files, find, where, on_error))
    records = [InstanceAnnotation(*entry) for entry in found]
    images = {str(image) for image, *_ in files}
    if empty := len(images - {record.image for record in records}):
        log.warning("%s: %d of %d images have no object to point at", where, empty, len(images))
    log.info("%s: %d objects in %d images", where, len(records), len(images) - empty)
    return records


def without_small(
    records: Iterable[InstanceAnnotation], min_area: int, where: str
) -> list[InstanceAnnotation]:
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


def _find_all(files: Files, find: Finder, where: str, on_error: str) -> list[InstanceAnnotation]:
    log.info("%s: reading %d annotations to list their objects, once", where, len(files))

    def attempt(group: tuple[Path, ...]) -> list[InstanceAnnotation] | str:
        try:
            return find(*group)
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


def _require(files: Files, where: str) -> None:
    named = dict.fromkeys(path for group in files for path in group)
    if missing := [path for path in named if not path.is_file()]:
        raise DataError(where, [f"no file {path}" for path in missing])


class InstanceFolder(InstanceList):
    """Objects of annotation files beside images: one a file, or those that a label map numbers.

    Objects are named `image` where a file is one object, else `image_number`.

    Args:
        root: Folder that the paths of `folder` start from.
        folder: Images and annotations, paired by stem; or several such folders by name, which are
            one set then and whose objects are named `folder/image`.
        kind: `ids`, a map of object numbers, 0 being background; `binary`, foreground from 128 on;
            `nonzero`, foreground wherever any channel is not 0; `components`, each connected part
            of a binary mask; `cityscapes`, the numbers of its eight classes of objects.
        name: Of the set, for messages and results.
        void_value: Value of pixels that do not count: 255 in PASCAL's maps, 128 in GrabCut's.
        part: Of the images, for sets without lists of their own: `train` is all but the `held_out`
            ones, which are chosen by a hash of each name, the same on every machine.
        share: Of the images, held out.
        min_area: Smaller objects are left out, with a count.
        cache_dir: Folder of the list of objects; None: see `cache_folder`.
        on_error: `stop` at faulty files, or `skip` them.

    Raises:
        DataError: Everything that is wrong with the files.
    """

    def __init__(
        self,
        root: str | Path | None,
        folder: FolderPair | Mapping[str, FolderPair],
        kind: Kind = "ids",
        name: str = "instances",
        void_value: int | None = None,
        part: Part = "all",
        share: float = 0.2,
        min_area: int = 1,
        cache_dir: str | Path | None = None,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        for key, value, known in (("kind", kind, READERS), ("part", part, PARTS)):
            if value not in known:
                raise ValueError(f"data: {key} is {value!r}; choose of {', '.join(known)}")
        if void_value is not None and kind not in _WITH_VOID:
            raise ValueError(f"data: void_value is for the kinds {', '.join(_WITH_VOID)} alone")
        self.kind, self.void_value = kind, void_value
        folders = {name: folder} if isinstance(folder, FolderPair) else folder
        pairs = _index_folders(root, folders, name, on_error)
        if part != "all":
            kept, held = split_by_hash(pairs, share)
            pairs = kept if part == "train" else held
        self._stems = {str(pair.mask): pair.name for pair in pairs}
        where = f"{name} ({kind}{'' if void_value is None else f', void {void_value}'})"
        records = cached_annotations(
            _files(pairs), self._find, cache_folder(cache_dir), where, on_error
        )
        super().__init__(without_small(records, min_area, name), tuple(folders))

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = self._read(annotation)
        return labels, labels == self._void_label()

    def _find(self, image: Path, annotation: Path) -> list[InstanceAnnotation]:
        stem = self._stems[str(annotation)]
        areas = label_areas(self._read(annotation), self._void_label())
        return [
            InstanceAnnotation(
                stem if self.kind in SINGLE else f"{stem}_{label}",
                str(image),
                str(annotation),
                label,
                label // OBJECTS_OF_A_CLASS if self.kind == "cityscapes" else 0,
                area,
            )
            for label, area in areas.items()
        ]

    def _read(self, path: Path) -> np.ndarray:
        if self.kind == "binary":
            return read_binary(path, self.void_value)
        return READERS[self.kind](path)

    def _void_label(self) -> int:
        if self.kind == "binary":
            return VOID
        return -1 if self.void_value is None else self.void_value


def _index_folders(
    root: str | Path | None, folders: Mapping[str, FolderPair], name: str, on_error: str
) -> list[ImageMaskPair]:
    if len(folders) == 1:
        return [pair for key in folders for pair in index_pairs(root, folders[key], key, on_error)]
    problems: list[str] = []
    pairs = join_sets(index_sets(root, folders, on_error, problems))
    if problems:
        raise DataError(name, problems)
    return pairs


def _files(pairs: list[ImageMaskPair]) -> list[tuple[Path, ...]]:
    return [(pair.image, pair.mask) for pair in pairs]
