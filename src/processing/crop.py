"""Crops around an object and the way back, as DEXTR and IOG do it.

Boxes are inclusive and may leave the image: what lies outside is filled with zeros.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from src.errors import UserError

Size = tuple[int, int]


class EmptyMaskError(UserError):
    """A mask without foreground, which has neither box nor extreme points nor inside."""


class BoxError(UserError):
    """A box without area, or one that shares no pixel with its image."""


class Box(NamedTuple):
    """Columns and rows of a crop, the last ones included."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.y_max - self.y_min + 1, self.x_max - self.x_min + 1

    def grown(self, pixels: int) -> "Box":
        """The box moved outwards on every side; inwards where `pixels` is negative."""
        return Box(
            self.x_min - pixels, self.y_min - pixels, self.x_max + pixels, self.y_max + pixels
        )

    def clipped(self, size: Size) -> "Box":
        """The part inside an image of `size`, (height, width).

        Raises:
            BoxError: There is none.
        """
        height, width = size
        inside = Box(
            max(self.x_min, 0),
            max(self.y_min, 0),
            min(self.x_max, width - 1),
            min(self.y_max, height - 1),
        )
        if inside.x_min > inside.x_max or inside.y_min > inside.y_max:
            raise BoxError(f"box {tuple(self)} has no pixel in an image of {width} × {height}")
        return inside

    def relative_to(self, outer: "Box") -> "Box":
        """The box counted from the corner of `outer`."""
        x, y = outer.x_min, outer.y_min
        return Box(self.x_min - x, self.y_min - y, self.x_max - x, self.y_max - y)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of a box that lies inside its image."""
        return slice(self.y_min, self.y_max + 1), slice(self.x_min, self.x_max + 1)


def box_of_mask(mask: np.ndarray, relax: int = 0) -> Box:
    """The tight box of the foreground of `mask` `(H, W)`, enlarged by `relax` on every side.

    Raises:
        EmptyMaskError: The mask has no foreground.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise EmptyMaskError("the mask has no foreground to put a box around")
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])).grown(relax)


def box_of_points(points: np.ndarray | Sequence[Sequence[float]], relax: int = 0) -> Box:
    """The tight box of points `(N, 2)`, x and y, enlarged by `relax` on every side.

    Raises:
        BoxError: Fewer than two points.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise BoxError(f"a box needs two points (x, y) or more, got an array of {points.shape}")
    (x_min, y_min), (x_max, y_max) = points.min(axis=0), points.max(axis=0)
    return Box(int(x_min), int(y_min), int(x_max), int(y_max)).grown(relax)


def box_of_corners(corners: Sequence[float] | np.ndarray, size: Size, what: str = "box") -> Box:
    """The box of x0, y0, x1, y1, the last pixels included; what lies outside the image is cut off.

    Args:
        corners: Four finite numbers, rounded to pixels.
        size: Height and width of the image.
        what: What messages call it.

    Raises:
        BoxError: Something else, without area, or altogether outside the image.
    """
    try:
        given = np.asarray(corners, dtype=float)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.shape != (4,) or not np.isfinite(given).all():
        raise BoxError(f"a {what} is four finite numbers (x0, y0, x1, y1), not {corners!r}")
    box = with_area(Box(*map(round, given.tolist())), what)
    if box.x_min >= size[1] or box.y_min >= size[0] or box.x_max < 0 or box.y_max < 0:
        raise BoxError(f"the {what} {tuple(box)} has no pixel in an image of {size[1]} × {size[0]}")
    return with_area(box.clipped(size), what)


def with_area(box: Box, what: str = "box") -> Box:
    """The box itself.

    Raises:
        BoxError: It has no area.
    """
    if box.x_min >= box.x_max or box.y_min >= box.y_max:
        raise BoxError(
            f"the {what} {tuple(box)} has no area; it needs x0 < x1 and y0 < y1, in pixels of the "
            "picture"
        )
    return box


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """Cut `box` out of `image` `(H, W)` or `(H, W, C)`; zeros where it leaves the image.

    Raises:
        BoxError: The box shares no pixel with the image.
    """
    source = box.clipped((image.shape[0], image.shape[1]))
    if source == box:
        return np.ascontiguousarray(image[box.slices])
    cut = np.zeros((*box.size, *image.shape[2:]), dtype=image.dtype)
    cut[source.relative_to(box).slices] = image[source.slices]
    return cut


def paste_back(prediction: np.ndarray, box: Box, size: Size, relax: int = 0) -> np.ndarray:
    """Put a crop's prediction back into an empty map of the image's `size`, (height, width).

    Bicubic, so that values may leave the prediction's range by a hundredth or so.

    Args:
        prediction: float32 `(h, w)`, of the network's size.
        relax: How far the crop's box was enlarged: what lies outside of the box before, where the
            object cannot be, stays 0 (DEXTR). 0 keeps the whole crop (IOG).

    Raises:
        BoxError: The box shares no pixel with the image.
    """
    height, width = box.size
    grown = cv2.resize(prediction, (width, height), interpolation=cv2.INTER_CUBIC)
    target = box.grown(-relax).clipped(size)
    full = np.zeros(size, dtype=prediction.dtype)
    full[target.slices] = grown[target.relative_to(box).slices]
    return full


def points_in_crop(
    points: np.ndarray | Sequence[Sequence[float]], box: Box, size: Size
) -> np.ndarray:
    """Points of the image as pixels of its crop `box` resized to `size`, int32 `(N, 2)`.

    A point is (x, y), the center of the first pixel being (0, 0), before and after, as in bilinear
    resizing. Points outside of the crop move to its border.
    """
    height, width = size
    scale = np.array([width / box.size[1], height / box.size[0]])
    moved = (np.asarray(points, float).reshape(-1, 2) - box[:2] + 0.5) * scale - 0.5
    return np.clip(np.rint(moved), 0, (width - 1, height - 1)).astype(np.int32)


def box_in_crop(inner: Box, box: Box, size: Size) -> Box:
    """The pixels of the crop `box`, resized to `size`, whose centers lie in `inner`; one at least.

    It is the tight box that a mask filling `inner` has after resizing.
    """
    height, width = size
    scale = np.array([width / box.size[1], height / box.size[0]])
    x_min, y_min = np.ceil((np.array(inner[:2]) - box[:2]) * scale - 0.5).astype(int).tolist()
    x_max, y_max = np.floor((np.array(inner[2:]) - box[:2] + 1) * scale - 0.5).astype(int).tolist()
    return Box(x_min, y_min, max(x_min, x_max), max(y_min, y_max))
