"""Agriculture-Vision: patterns in aerial images of fields (Chiu et al., CVPR 2020)."""

from pathlib import Path
from typing import Literal

import numpy as np

from src.datamodules.images import ImageError, header_size
from src.datamodules.instance_sources import (
    InstanceAnnotation,
    InstanceList,
    cached_annotations,
    without_small,
)
from src.datamodules.label_maps import components, label_areas, read_binary
from src.datamodules.pairs import find_folder
from src.paths import cache_folder, files_below

# Categories 1 … 6, of the challenge of 2020.
PATTERNS = (
    "cloud_shadow",
    "double_plant",
    "planter_skip",
    "standing_water",
    "waterway",
    "weed_cluster",
)
Objects = Literal["components", "patterns"]
OBJECTS = ("components", "patterns")
SPLITS = ("train", "val")
NAME = "Agriculture-Vision"
_FOLDERS = ("Agriculture-Vision", "agriculture_vision", "AgricultureVision")
_HINT = "https://github.com/SHI-Labs/Agriculture-Vision (the challenge of 2020)"


class AgricultureVision(InstanceList):
    """Objects of the patterns' masks; outside of boundary or valid mask nothing counts.

    `<split>/images/rgb/<field>.jpg` has a mask `labels/<pattern>/<field>.png` for each pattern,
    `boundaries/<field>.png` and `masks/<field>.png`. What an object is was not stated by the paper
    that cut these out by clicks. That it is a part connected by its sides is an assumption: a box
    with one click inside points at one region. Objects are named `<field>_<pattern>_<number>`.

    Args:
        root: Folder with `Agriculture-Vision`.
        split: `train` or `val`; the truth of `test` is not public.
        objects: `components`, each connected part; or `patterns`, all of a pattern in an image.
        min_area: Objects of fewer pixels are left out, with a count.
        cache_dir: Folder of the list of objects; None: see `cache_folder`.

    Raises:
        DataError: A folder is missing, with where to get the set; or files are missing, cannot be
            read or differ in size, all of them in one list.
    """

    def __init__(
        self,
        root: str | Path,
        split: Literal["train", "val"] = "val",
        objects: Objects = "components",
        min_area: int = 1,
        cache_dir: str | Path | None = None,
    ) -> None:
        for key, value, known in (("split", split, SPLITS), ("objects", objects, OBJECTS)):
            if value not in known:
                raise ValueError(f"data: {key} is {value!r}; choose of {', '.join(known)}")
        self.objects = objects
        places = [f"{folder}/{split}/images/rgb" for folder in _FOLDERS]
        images = find_folder(Path(root).expanduser(), places, _HINT, NAME)
        where = f"{NAME} {split} ({objects})"
        records = cached_annotations(_files(images), self._find, cache_folder(cache_dir), where)
        super().__init__(without_small(records, min_area, where), (f"{NAME}-{split}",))

    def labels_and_void(self, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        counted = np.logical_and(*(read_binary(path) != 0 for path in _limits(annotation)))
        pattern = (read_binary(annotation) != 0) & counted
        labels = components(pattern) if self.objects == "components" else pattern.astype(np.uint8)
        return labels, ~counted

    def _find(self, image: Path, annotation: Path, *limits: Path) -> list[InstanceAnnotation]:
        size = header_size(image)
        for path in (annotation, *limits):
            if header_size(path) != size:
                raise ImageError(f"{path}: {header_size(path)}, but its image {image} is {size}")
        pattern = annotation.parent.name
        stem = f"{annotation.stem}_{pattern}"
        areas = label_areas(self.labels_and_void(annotation)[0])
        return [
            InstanceAnnotation(
                f"{stem}_{label}" if self.objects == "components" else stem,
                str(image),
                str(annotation),
                label,
                PATTERNS.index(pattern) + 1,
                area,
            )
            for label, area in areas.items()
        ]


def _files(images: Path) -> list[tuple[Path, ...]]:
    """Of each image and pattern: image, the pattern's mask, boundary, valid mask."""
    files: list[tuple[Path, ...]] = []
    for image in sorted(path for path in files_below(images) if path.suffix == ".jpg"):
        for pattern in PATTERNS:
            annotation = images.parents[1] / "labels" / pattern / f"{image.stem}.png"
            files.append((image, annotation, *_limits(annotation)))
    return files


def _limits(annotation: Path) -> tuple[Path, Path]:
    """Boundary of the field and valid pixels, beside `labels/<pattern>/<field>.png`."""
    split = annotation.parents[2]
    return split / "boundaries" / annotation.name, split / "masks" / annotation.name
