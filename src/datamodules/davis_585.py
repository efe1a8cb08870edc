"""DAVIS-585: objects of video frames with first masks to correct (Chen et al., CVPR 2022)."""

from pathlib import Path
from typing import Literal

import numpy as np

from src.datamodules.images import ImageError, header_size, read_mask
from src.datamodules.instance_sources import (
    Instance,
    InstanceAnnotation,
    InstanceList,
    cached_annotations,
    without_small,
)
from src.datamodules.label_maps import FOREGROUND, as_mask
from src.datamodules.pairs import DataError, find_folder, wrong_count
from src.paths import cache_folder, files_below

Start = Literal["sp", "stm"]
STARTS = ("sp", "stm")
NAME = "DAVIS-585"
_FIRST_MASK = "init_"
_FOLDERS = ("DAVIS-585", "DAVIS585")
_HINT = "https://github.com/alibaba/ClickSEG (DAVIS-585)"


class Davis585(InstanceList):
    """One object for each mask `<sequence>/<object>_<frame>.png` beside its `<frame>.jpg`.

    The object is where the mask is above 128; nothing is void. `init_sp_<mask>` and
    `init_stm_<mask>` are first masks of the same object: made of superpixels, or propagated
    through the video, with an IoU of .75 to .85. Objects are named `bear/object1_00009`.

    Args:
        root: Folder with `DAVIS-585`.
        start_mask: `sp` or `stm` gives samples that first mask; None none.
        count: Objects of the released set; another number is an error.
        cache_dir: Folder of the list of objects; None: see `cache_folder`.

    Raises:
        DataError: The folder is missing, with where to get it; or files are missing, cannot be
            read or differ in size, all of them in one list.
    """

    def __init__(
        self,
        root: str | Path,
        start_mask: Start | None = "sp",
        count: int | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if start_mask is not None and start_mask not in STARTS:
            known = ", ".join(STARTS)
            raise ValueError(f"data: start_mask is {start_mask!r}; choose of {known} or null")
        self.start_mask = start_mask
        folder = find_folder(Path(root).expanduser(), _FOLDERS, _HINT, NAME)
        masks = sorted(
            path
            for path in files_below(folder)
            if path.suffix == ".png" and not path.name.startswith(_FIRST_MASK)
        )
        if problems := wrong_count(len(masks), count, "objects"):
            raise DataError(NAME, problems)
        files = [(_image_of(mask), mask, *self._first_masks([mask])) for mask in masks]
        where = f"{NAME} (from {start_mask or 'nothing'})"
        records = cached_annotations(files, self._find, cache_folder(cache_dir), where)
        super().__init__(without_small(records, 1, NAME), (NAME,))

    @property
    def files(self) -> list[Path]:
        return [*super().files, *self._first_masks([Path(r.annotation) for r in self.records])]

    def sample(self, item: int) -> Instance:
        instance = super().sample(item)
        for path in self._first_masks([Path(self.records[item].annotation)]):
            first = as_mask(read_mask(path) > FOREGROUND)
            instance = instance._replace(start_mask=first)
        return instance

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = (read_mask(annotation) > FOREGROUND).astype(np.uint8)
        return labels, np.zeros(labels.shape, bool)

    def _first_masks(self, masks: list[Path]) -> list[Path]:
        if self.start_mask is None:
            return []
        return [mask.with_name(f"{_FIRST_MASK}{self.start_mask}_{mask.name}") for mask in masks]

    def _find(self, image: Path, mask: Path, *first: Path) -> list[InstanceAnnotation]:
        labels, _ = self.labels_and_void(mask)
        for path in (image, *first):
            if (size := header_size(path)) != labels.shape:
                raise ImageError(f"{path}: {size}, but its mask {mask} is {labels.shape}")
        name = f"{mask.parent.name}/{mask.stem}"
        area = int(labels.sum())
        return [InstanceAnnotation(name, str(image), str(mask), 1, 0, area)] if area else []


def _image_of(mask: Path) -> Path:
    return mask.with_name(f"{mask.stem.rpartition('_')[2]}.jpg")
