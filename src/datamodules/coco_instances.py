"""Objects of COCO (Lin et al., ECCV 2014)."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import UserError

from .images import read_image
from .objects import Instance, as_mask
from .pairs import DataError

log = logging.getLogger(__name__)

_SURELY_VISIBLE = 32  # pixels of area


class CocoInstances:
    """Objects of a COCO annotation file; crowds, which are no single objects, are left out.

    Args:
        root: Folder with `annotations/instances_<split>.json` and the images in `<split>/`.
        split: `train2014` has 82 783 images, `train2017` 118 287.
        min_area: Objects of fewer pixels are left out, with a count.

    Raises:
        DataError: A folder or file is missing, or no object is left.
        UserError: The package pycocotools is missing.
    """

    def __init__(self, root: str | Path, split: str = "train2017", min_area: int = 1) -> None:
        self.folder = Path(root).expanduser() / split
        path = Path(root).expanduser() / "annotations" / f"instances_{split}.json"
        missing = [place for place in (self.folder, path) if not place.exists()]
        if missing:
            source = f"COCO's {split} images and annotations from cocodataset.org"
            raise DataError("COCO", [f"no {place}. Get {source}" for place in missing])
        _masks()  # found missing now rather than in a worker
        content = json.loads(path.read_text(encoding="utf-8"))
        self._images = {image["id"]: image for image in content["images"]}
        self.sets = (f"COCO-{split}",)
        self._objects = self._without_small(content["annotations"], min_area, path)

    @property
    def names(self) -> list[str]:
        """The image's file name without extension and the annotation's id."""
        return [self._name(entry) for entry in self._objects]

    def __len__(self) -> int:
        return len(self._objects)

    def sample(self, item: int) -> Instance:
        """The object; `category` is COCO's id, and nothing is void."""
        entry = self._objects[item]
        info = self._images[entry["image_id"]]
        image = read_image(self.folder / info["file_name"])
        mask = as_mask(self._mask(entry))
        if image.shape[:2] != mask.shape:
            raise DataError(
                "COCO", [f"{info['file_name']}: {image.shape[:2]}, annotated as {mask.shape}"]
            )
        return Instance(image, mask, np.zeros_like(mask), self._name(entry), entry["category_id"])

    def _without_small(self, entries: list[Any], min_area: int, path: Path) -> list[Any]:
        single = [entry for entry in entries if not entry.get("iscrowd")]
        kept = [entry for entry in single if entry["area"] >= min_area and self._has_pixel(entry)]
        crowds, small = len(entries) - len(single), len(single) - len(kept)
        if crowds or small:
            log.info("%s: %d crowds and %d small objects left out", path.name, crowds, small)
        if not kept:
            raise DataError("COCO", [f"{path}: no object of at least {min_area} pixels"])
        return kept

    def _has_pixel(self, entry: dict[str, Any]) -> bool:
        # Tiny polygons may lie between the pixels' centres; larger ones cannot.
        return entry["area"] >= _SURELY_VISIBLE or bool(self._mask(entry).any())

    def _mask(self, entry: dict[str, Any]) -> np.ndarray:
        info = self._images[entry["image_id"]]
        return _decoded(entry["segmentation"], info["height"], info["width"])

    def _name(self, entry: dict[str, Any]) -> str:
        return f"{Path(self._images[entry['image_id']]['file_name']).stem}_{entry['id']}"


def _decoded(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Booleans `(H, W)` of polygons or of a run-length code."""
    masks = _masks()
    if isinstance(segmentation, list):
        code = masks.merge(masks.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        code = masks.frPyObjects(segmentation, height, width)
    else:
        code = segmentation
    return np.asarray(masks.decode(code), dtype=bool)


def _masks() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise UserError("COCO needs the package pycocotools: pip install pycocotools") from None
    return mask
