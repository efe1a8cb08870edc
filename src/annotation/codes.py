"""A mask in COCO's words: run-length code or polygons, area and box."""

from typing import Any, Literal

import numpy as np

from src.datamodules.coco_masks import coco_masks

from .outline import polygons

Format = Literal["rle", "polygon"]
FORMATS: tuple[Format, ...] = ("rle", "polygon")


def encoded(mask: np.ndarray, kind: Format = "rle") -> dict[str, Any]:
    """`segmentation`, `area` and `bbox` [x, y, width, height] of a mask `(H, W)`.

    Either kind decodes to the same pixels. Polygons follow the edges of pixels: exact, and longer
    than a person's.

    Args:
        mask: Foreground where not 0.
        kind: `rle` is COCO's compressed run-length code, `polygon` a list of lists of x and y.

    Raises:
        ValueError: The mask has no foreground.
    """
    if not mask.any():
        raise ValueError("a mask without foreground has neither box nor outline")
    masks = coco_masks()
    code = masks.encode(np.asfortranarray(mask != 0, dtype=np.uint8))
    box = [float(side) for side in masks.toBbox(code)]
    segmentation: Any = {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}
    if kind == "polygon":
        segmentation = [[side for corner in one for side in corner] for one in polygons(mask)]
    return {"segmentation": segmentation, "area": int(masks.area(code)), "bbox": box}
