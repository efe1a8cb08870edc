"""Objects in folders: maps of ids, or one object per mask (GrabCut, Berkeley, DAVIS)."""

from pathlib import Path
from typing import Literal

import numpy as np

from src.cache_folder import cache_folder

from .images import read_mask
from .objects import (
    Record,
    RecordedObjects,
    label_areas,
    read_labels,
    remembered_records,
    without_small,
)
from .pairs import Pair, hold_out, index_pairs
from .sources import Folder

Kind = Literal["ids", "binary"]
KINDS = ("ids", "binary")
Part = Literal["all", "train", "held_out"]
PARTS = ("all", "train", "held_out")


class InstanceFolder(RecordedObjects):
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
        folder: Folder,
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
            kept, held = hold_out(pairs, share)
            pairs = kept if part == "train" else held
        self._stems = {str(pair.mask): pair.name for pair in pairs}
        where = f"{name} ({kind}, void {void_value})"
        records = remembered_records(
            _files(pairs), self._find, cache_folder(cache_dir), where, on_error
        )
        super().__init__(without_small(records, min_area, name), (name,))

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = self._read(annotation)
        return labels, labels == self._void_label()

    def _find(self, image: Path, annotation: Path) -> list[Record]:
        stem = self._stems[str(annotation)]
        areas = label_areas(self._read(annotation), self._void_label())
        return [
            Record(
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
        labels = (mask >= 128).astype(np.uint8)
        if self.void_value is not None:
            labels[mask == self.void_value] = 2
        return labels

    def _void_label(self) -> int:
        if self.kind == "binary":
            return 2
        return -1 if self.void_value is None else self.void_value


def _files(pairs: list[Pair]) -> list[tuple[Path, Path]]:
    return [(pair.image, pair.mask) for pair in pairs]
