"""Objects of COCO (Lin et al., ECCV 2014)."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from .coco_masks import coco_masks
from .images import ImageError, read_image
from .objects import Instance, as_mask
from .pairs import DataError

log = logging.getLogger(__name__)

_SURELY_VISIBLE = 32  # pixels of area
_SURELY_WIDE = 2


class CocoInstances:
    """Objects of a COCO annotation file; crowds, which are no single objects, are left out.

    Args:
        root: Folder with `annotations/instances_<split>.json` and the images in `<split>/`.
        split: `train2014` has 82 783 images, `train2017` 118 287.
        min_area: Objects of fewer pixels are left out, with a count; those without any, such as
            boxes of no width and outlines beside the image, always.

    Raises:
        DataError: A folder or file is missing, or no object is left.
        UserError: The package pycocotools is missing.
    """

    def __init__(self, root: str | Path, split: str = "train2017", min_area: int = 1) -> None:
        self.folder = Path(root).expanduser() / split
        path = Path(root).expanduser() / "annotations" / f"instances_{split}.json"
        self._path = path
        missing = [place for place in (self.folder, path) if not place.exists()]
        if missing:
            source = f"COCO's {split} images and annotations from cocodataset.org"
            raise DataError("COCO", [f"no {place}. Get {source}" for place in missing])
        coco_masks()  # found missing now rather than in a worker
        content = json.loads(path.read_text(encoding="utf-8"))
        self._images = {image["id"]: image for image in content["images"]}
        _require_images(content["annotations"], self._images, path)
        self.sets = (f"COCO-{split}",)
        self._objects = self._without_small(content["annotations"], min_area, path)

    @property
    def names(self) -> list[str]:
        """The image's file name without extension and the annotation's id."""
        return [self._name(entry) for entry in self._objects]

    @property
    def files(self) -> list[Path]:
        """The annotations, and the images with objects in them."""
        used = dict.fromkeys(entry["image_id"] for entry in self._objects)
        return [self._path, *(self.folder / self._images[i]["file_name"] for i in used)]

    def __len__(self) -> int:
        return len(self._objects)

    def sample(self, item: int) -> Instance:
        """The object; `category` is COCO's id, and nothing is void."""
        entry = self._objects[item]
        info = self._images[entry["image_id"]]
        image = read_image(self.folder / info["file_name"])
        mask = as_mask(self._mask(entry))
        if image.shape[:2] != mask.shape:
            raise ImageError(f"{info['file_name']}: {image.shape[:2]}, annotated as {mask.shape}")
        return Instance(image, mask, np.zeros_like(mask), self._name(entry), entry["category_id"])

    def _without_small(self, entries: list[Any], min_area: int, path: Path) -> list[Any]:
        single = [entry for entry in entries if not entry.get("iscrowd")]
        kept = [entry for entry in single if self._area(entry) >= max(min_area, 1)]
        crowds, small = len(entries) - len(single), len(single) - len(kept)
        if crowds or small:
            log.warning("%s: %d crowds and %d small objects left out", path.name, crowds, small)
        if not kept:
            raise DataError("COCO", [f"{path}: no object of at least {min_area} pixels"])
        return kept

    def _area(self, entry: dict[str, Any]) -> float:
        # Drawing every outline would take minutes. Tiny ones may lie between the pixels' centres,
        # thin ones and those beside the image too; others cannot.
        if entry.get("area", 0) >= _SURELY_VISIBLE and self._overlaps(entry):
            return float(entry["area"])
        return float(self._mask(entry).sum())

    def _overlaps(self, entry: dict[str, Any]) -> bool:
        info = self._images[entry["image_id"]]
        x, y, width, height = entry.get("bbox", (0, 0, 0, 0))
        across = min(x + width, info["width"]) - max(x, 0)
        down = min(y + height, info["height"]) - max(y, 0)
        return bool(across >= _SURELY_WIDE and down >= _SURELY_WIDE)

    def _mask(self, entry: dict[str, Any]) -> np.ndarray:
        info = self._images[entry["image_id"]]
        return _decoded(entry["segmentation"], info["height"], info["width"])

    def _name(self, entry: dict[str, Any]) -> str:
        return f"{Path(self._images[entry['image_id']]['file_name']).stem}_{entry['id']}"


def _require_images(entries: list[Any], images: dict[Any, Any], path: Path) -> None:
    lost = [entry for entry in entries if entry["image_id"] not in images]
    if lost:
        raise DataError(
            "COCO",
            [f"{path}: object {e['id']} is on image {e['image_id']}, not listed" for e in lost],
        )


def _decoded(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Booleans `(H, W)` of polygons or of a run-length code."""
    if not segmentation:
        return np.zeros((height, width), dtype=bool)
    masks = coco_masks()
    if isinstance(segmentation, list):
        code = masks.merge(masks.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        code = masks.frPyObjects(segmentation, height, width)
    else:
        code = segmentation
    return np.asarray(masks.decode(code), dtype=bool)
