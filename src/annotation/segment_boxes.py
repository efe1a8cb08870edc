"""Cuts the boxes of one image out of it with a click-guided network."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from src.annotation.boxes import Annotation
from src.annotation.coco_encoding import Format, encoded
from src.datamodules.raster import within
from src.errors import UserError
from src.inference import Segmenter
from src.models import guided_by_clicks
from src.processing.crop import Box


class BoxSegmenter:
    """A network that takes clicks, and what becomes of its masks.

    IOG gets the box as its outside clicks and the center of the box as the click inside, the
    two-stage use of its paper (CVPR 2020). DEXTR needs what a box does not say: four
    `extreme_points` in each annotation, `[[x, y], …]`.

    Args:
        segmenter: Its `clicks` say what it takes.
        kind: How masks are written.
        threshold: Probability from which a pixel belongs to the object.

    Raises:
        UserError: A network that takes no clicks, or a threshold outside of 0 to 1.
    """

    def __init__(self, segmenter: Segmenter, kind: Format = "rle", threshold: float = 0.5) -> None:
        if segmenter.clicks is None:
            raise UserError(
                f"{segmenter.name} finds what stands out by itself; boxes need a model that takes "
                f"clicks: {guided_by_clicks()}"
            )
        if not 0 < threshold < 1:
            raise UserError(f"threshold is {threshold}; it is a probability between 0 and 1")
        self.segmenter, self.kind, self.level = segmenter, kind, 255 * threshold
        self.opacity: np.ndarray | None = None

    def open(self, image: np.ndarray, opacity: np.ndarray | None = None) -> None:
        """Take the image that the next annotations belong to.

        Args:
            image: uint8 `(H, W, 3)`.
            opacity: `(H, W)`, uint8 or uint16; nothing of an object is where it is transparent.
        """
        self.opacity = opacity
        self.segmenter.set_image(image)
        self.size = (image.shape[0], image.shape[1])

    def cut(self, annotation: Annotation) -> Annotation:
        """The annotation with the object's mask; `box` keeps the box that it was asked with.

        Raises:
            UserError: A box that cannot be meant, or nothing found in it.
        """
        found = self.segmenter.predict(**self._clicks(annotation))
        mask = within(found, self.opacity) >= self.level
        if not mask.any():
            raise UserError("nothing was found in the box")
        code = encoded(mask, self.kind)
        return {**annotation, "box": annotation["bbox"], "iscrowd": 0, **code}

    def _clicks(self, annotation: Annotation) -> dict[str, Any]:
        if self.segmenter.clicks == "extreme_points":
            points = annotation.get("extreme_points")
            if points is None:
                raise UserError(
                    f"{self.segmenter.name} needs extreme_points [[x, y], …], which a box does not "
                    "say; use iog, or add them"
                )
            return {"points": [tuple(point) for point in points]}
        return {"box": tuple(pixel_box(annotation["bbox"], self.size))}


def pixel_box(values: Sequence[float], size: tuple[int, int]) -> Box:
    """The pixels of COCO's `[x, y, width, height]` within an image of `size`, (height, width).

    Raises:
        UserError: Not four finite numbers, or a box without a pixel in the image.
    """
    try:
        x, y, width, height = (float(value) for value in values)
    except (TypeError, ValueError):
        raise UserError(f"bbox {values!r} is not [x, y, width, height]") from None
    if not all(math.isfinite(value) for value in (x, y, width, height)):
        raise UserError(f"bbox {values} has a number that is not finite")
    box = Box(round(x), round(y), round(x + width) - 1, round(y + height) - 1)
    if box.x_max < box.x_min or box.y_max < box.y_min:
        raise UserError(f"bbox {values} has no area")
    return box.clipped(size)
