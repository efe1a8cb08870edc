"""The objects of an image as files that other tools read: a palette PNG and COCO's JSON."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from src.annotation.coco_encoding import encoded

MOST = 254  # numbers of a palette PNG; 0 is the background and 255 is void in PASCAL VOC
FOREGROUND = 128  # of an 8-bit mask

# Numbers of objects, 1 to `MOST` and ascending, each with its uint8 mask `(H, W)`. They come one by
# one: all masks of a large image at once would fill the memory.
NumberedMasks = Iterable[tuple[int, np.ndarray]]


def voc_colors(count: int = 256) -> np.ndarray:
    """The colors of PASCAL VOC's label maps, uint8 `(count, 3)`.

    The bits of a label are dealt to red, green and blue in turn, from each channel's highest bit
    down, so that neighboring numbers differ most.
    """
    labels = np.arange(count)
    colors = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        high = 7 - bit // 3
        colors[:, bit % 3] |= (((labels >> bit) & 1) << high).astype(np.uint8)
    return colors


def label_map(masks: NumberedMasks, size: tuple[int, int]) -> np.ndarray:
    """Numbers of objects, uint8 `(H, W)`, 0 where there is none.

    Where objects overlap, the one with the higher number lies on top.

    Args:
        masks: Of the objects.
        size: Height and width.
    """
    labels = np.zeros(size, np.uint8)
    for number, mask in masks:
        labels[mask >= FOREGROUND] = number
    return labels


def palette_png(masks: NumberedMasks, size: tuple[int, int]) -> bytes:
    """`label_map` as a PNG whose palette is VOC's."""
    image = Image.fromarray(label_map(masks, size), mode="P")
    image.putpalette(voc_colors().tobytes())
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def coco(masks: NumberedMasks, size: tuple[int, int], name: str) -> dict[str, Any]:
    """COCO's instances of one image: an annotation with a run-length code for each object.

    An annotation's id is its object's number. Objects may overlap, and all are of one category.
    An object without a pixel is left out: COCO has no box for it.

    Raises:
        UserError: The package pycocotools is missing.
    """
    return {
        "images": [{"id": 1, "file_name": name, "height": size[0], "width": size[1]}],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, **encoded(inside)}
            for number, mask in masks
            if (inside := mask >= FOREGROUND).any()
        ],
    }
