"""Objects of instance data sets: what a source yields, found once and kept; objects in folders."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from src.cache import CacheFolder, key_of_files
from src.datamodules.images import ImageError, read_image, read_mask
from src.datamodules.pairs import DataError, ImageMaskPair, index_pairs, split_by_hash
from src.datamodules.sources import FolderPair
from src.paths import cache_folder

log = logging.getLogger(__name__)

# Changes with what a record holds, so that lists of older versions are made anew.
_FORMAT = 2
_READERS = 8
_LABEL_MODES = ("P", "L", "1", "I", "I;16", "I;16B")
_LOSSY = ("JPEG", "MPO", "JPEG2000", "WEBP", "AVIF")  # formats that change the numbers they keep
Kind = Literal["ids", "binary"]
KINDS = ("ids", "binary")
Part = Literal["all", "train", "held_out"]
PARTS = ("all", "train", "held_out")


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


Finder = Callable[[Path, Path], list[InstanceAnnotation]]


def cached_annotations(
    files: Sequence[tuple[Path, Path]],
    find: Finder,
    cache_dir: Path,
    where: str,
    on_error: Literal["stop", "skip"] = "stop",
) -> list[InstanceAnnotation]:
    """The objects of all annotation files, found once and kept.

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
    key = key_of_files(chain.from_iterable(files), where, on_error)
    cache = CacheFolder(cache_dir, "objects", _FORMAT)
    found = cache.get_json(key, lambda: _find_all(files, find, where, on_error))
    records = [InstanceAnnotation(*entry) for entry in found]
    if empty := len(files) - len({record.annotation for record in records}):
        log.warning("%s: %d of %d images have no object to point at", where, empty, len(files))
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


def read_labels(path: Path) -> np.ndarray:
    """Read a map of instances or classes `(H, W)`, the palette's indices where it has one.

    Raises:
        ImageError: Missing, damaged, in color, or larger than Pillow opens.
    """
    try:
        with Image.open(path) as image:
            require_lossless(image, path)
            if image.mode not in _LABEL_MODES:
                raise ImageError(
                    f"{path}: pixels of kind {image.mode!r} are no labels; save an 8- or 16-bit "
                    "map with a number for each object (PNG)"
                )
            return np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: {error}") from None


def require_lossless(image: Image.Image, path: Path) -> None:
    """Refuse files whose format changes the numbers of pixels: around every object lie others.

    Raises:
        ImageError: JPEG and its like, by what the file is and not by its name.
    """
    compression = str(image.info.get("compression", "")) if image.format == "TIFF" else ""
    if image.format in _LOSSY or "jpeg" in compression or "webp" in compression:
        kind = f"TIFF with {compression}" if compression else image.format
        raise ImageError(
            f"{path}: a map of object numbers in {kind}, which does not keep numbers exactly; "
            "export it again as PNG (a converted copy keeps the wrong numbers)"
        )


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
) -> list[InstanceAnnotation]:
    log.info("%s: listing the objects of %d images, once", where, len(files))

    def attempt(pair: tuple[Path, Path]) -> list[InstanceAnnotation] | str:
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


class InstanceFolder(InstanceList):
    """An object per id of label maps `0..N`, or the one object of each binary mask.

    Objects are named `image` after a binary mask, `image_id` after an id.

    Args:
        root: Folder that the paths of `folder` start from.
        folder: Images and label maps, paired by stem.
        kind: `ids`, 0 being background; or `binary`, foreground from 128 on.
        name: Of the set, for messages.
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
        folder: FolderPair,
        kind: Kind = "ids",
        name: str = "instances",
        void_value: int | None = None,
        part: Part = "all",
        share: float = 0.2,
        min_area: int = 1,
        cache_dir: str | Path | None = None,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        for key, value, known in (("kind", kind, KINDS), ("part", part, PARTS)):
            if value not in known:
                raise ValueError(f"data: {key} is {value!r}; choose of {', '.join(known)}")
        self.kind, self.void_value = kind, void_value
        pairs = index_pairs(root, folder, name, on_error)
        if part != "all":
            kept, held = split_by_hash(pairs, share)
            pairs = kept if part == "train" else held
        self._stems = {str(pair.mask): pair.name for pair in pairs}
        where = f"{name} ({kind}, void {void_value})"
        records = cached_annotations(
            _files(pairs), self._find, cache_folder(cache_dir), where, on_error
        )
        super().__init__(without_small(records, min_area, name), (name,))

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = self._read(annotation)
        return labels, labels == self._void_label()

    def _find(self, image: Path, annotation: Path) -> list[InstanceAnnotation]:
        stem = self._stems[str(annotation)]
        areas = label_areas(self._read(annotation), self._void_label())
        return [
            InstanceAnnotation(
                stem if self.kind == "binary" else f"{stem}_{label}",
                str(image),
                str(annotation),
                label,
                0,
                area,
            )
            for label, area in areas.items()
        ]

    def _read(self, path: Path) -> np.ndarray:
        """Labels `(H, W)`; of a binary mask 1 on the object and 2 where it is void."""
        if self.kind == "ids":
            return read_labels(path)
        mask = read_mask(path)
        if self.void_value is not None:
            with Image.open(path) as image:  # one value of 256 has a meaning of its own
                require_lossless(image, path)
        labels = (mask >= 128).astype(np.uint8)
        if self.void_value is not None:
            labels[mask == self.void_value] = 2
        return labels

    def _void_label(self) -> int:
        if self.kind == "binary":
            return 2
        return -1 if self.void_value is None else self.void_value


def _files(pairs: list[ImageMaskPair]) -> list[tuple[Path, Path]]:
    return [(pair.image, pair.mask) for pair in pairs]
