"""A stand-in for a segmenter whose masks are known, and COCO files of two images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.inference.tiny import save_picture

SIZE = (90, 120)


class BoxFiller:
    """Stands in for a segmenter: the object fills its box; counts what it is asked."""

    name = "box filler"
    clicks: str | None = "inside_outside"

    def __init__(self) -> None:
        self.images = 0

    def set_image(self, image: np.ndarray) -> None:
        self.images += 1
        self.size = image.shape[:2]

    def predict(
        self,
        points: Sequence[tuple[float, float]] = (),
        box: Sequence[int] | None = None,
    ) -> np.ndarray:
        mask = np.zeros(self.size, np.uint8)
        x, y = np.array(points or np.reshape(box, (2, 2))).T  # type: ignore[arg-type]
        mask[y.min() : y.max() + 1, x.min() : x.max() + 1] = 200
        return mask


def write_coco(folder: Path, boxes: Sequence[Sequence[Any]], **more: Any) -> Path:
    """Two images; the boxes belong to them in turn. The file has fields beyond COCO's."""
    images = []
    for i in (1, 2):
        save_picture(folder / "images" / f"{i}.jpg", *SIZE)
        images.append({"id": i, "file_name": f"{i}.jpg", "height": SIZE[0], "width": SIZE[1]})
    annotations = [
        {"id": 10 + i, "image_id": 1 + i % 2, "category_id": 7, "bbox": box, "note": "kept"}
        for i, box in enumerate(boxes)
    ]
    content = {"info": {"year": 2026}, "images": images, "annotations": annotations, **more}
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path
