"""Clicks on objects: simulated from masks, drawn as heat maps, cropped as the papers' prompts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

import cv2
import numpy as np
from annotated_types import Ge

from src.errors import UserError
from src.processing.crop import Box, box_of_mask

FWHM = 10.0
MARGIN = 10
Kind = Literal["extreme_points", "inside_outside"]


class PointsError(UserError):
    """Too few points, or points outside the image."""


class Click(NamedTuple):
    """A correction: a pixel that was decided wrongly, and whether it lies on the object."""

    x: int
    y: int
    inside: bool


def extreme_points(mask: np.ndarray, rng: np.random.Generator, jitter: int = 0) -> np.ndarray:
    """The left, right, top and bottom point of the foreground, int32 `(4, 2)`.

    Each is drawn evenly from the pixels of the mask whose distance to that side of the tight box
    is at most `jitter`: 5 px in DEXTR's training, 0 in its test, where only ties are drawn.

    Raises:
        EmptyMaskError: The mask has no foreground.
    """
    box = box_of_mask(mask)
    near = (
        (slice(None), slice(box.x_min, box.x_min + jitter + 1)),
        (slice(None), slice(max(box.x_max - jitter, 0), box.x_max + 1)),
        (slice(box.y_min, box.y_min + jitter + 1), slice(None)),
        (slice(max(box.y_max - jitter, 0), box.y_max + 1), slice(None)),
    )
    points = []
    for rows, columns in near:
        candidates = np.argwhere(mask[rows, columns])
        y, x = candidates[rng.integers(len(candidates))]
        points.append((x + (columns.start or 0), y + (rows.start or 0)))
    return np.array(points, dtype=np.int32)


def inside_outside_points(
    mask: np.ndarray, rng: np.random.Generator, margin: int = MARGIN
) -> np.ndarray:
    """A point deep inside the foreground and the four corners of its box, int32 `(5, 2)`.

    Order: inside, left top, left bottom, right top, right bottom. The inside point is as far from
    the mask's border as any, the image's border counting as one. Corners are those of the tight
    box moved outwards by `margin` and clipped to 0..width and 0..height, as IOG's authors clip.

    Raises:
        EmptyMaskError: The mask has no foreground.
    """
    box = box_of_mask(mask)
    depth = _depth(np.pad(mask != 0, 1))[1:-1, 1:-1]
    y, x = _deepest(depth, rng)
    return box_points((x, y), box, (mask.shape[0], mask.shape[1]), margin)


def box_points(
    inside: tuple[int, int], box: Box, size: tuple[int, int], margin: int = MARGIN
) -> np.ndarray:
    """IOG's five points of an object whose tight box is known, as `inside_outside_points` orders.

    Args:
        inside: A point (x, y) on the object.
        box: Its corners are moved outwards by `margin`.
        size: Height and width of the crop, to which corners are clipped.
    """
    outer, (height, width) = box.grown(margin), size
    left, right = max(outer.x_min, 0), min(outer.x_max, width)
    top, bottom = max(outer.y_min, 0), min(outer.y_max, height)
    corners = ((left, top), (left, bottom), (right, top), (right, bottom))
    return np.array([inside, *corners], dtype=np.int32)


def check_points(points: np.ndarray, size: tuple[int, int], needed: int) -> np.ndarray:
    """Refuse a user's points that cannot be meant.

    Args:
        points: Of shape `(N, 2)`, x and y; the center of the first pixel is (0, 0), so that the
            image begins half a pixel before it.
        size: Height and width of the image.
        needed: The least number of points.

    Raises:
        PointsError: Another shape, too few, or points outside the image, which are listed.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise PointsError(f"points have the shape {points.shape}; give (x, y) for each point")
    if len(points) < needed:
        raise PointsError(f"{len(points)} points given, {needed} needed")
    height, width = size
    # Not a number compares as false, hence lies outside too.
    on_image = ((points >= -0.5) & (points < (width, height))).all(axis=1)
    if not on_image.all():
        raise PointsError(
            f"points outside the image of {width} × {height} (x, y): {points[~on_image].tolist()}"
        )
    return points


def heat_map(
    points: np.ndarray | Sequence[Sequence[float]], size: tuple[int, int], fwhm: float = FWHM
) -> np.ndarray:
    """Draw points as Gaussians of height 255, float32 of `size` (height, width).

    Where several meet, the highest counts.

    Args:
        points: Of shape `(N, 2)`, x and y; none give an empty map.
        fwhm: Full width of a Gaussian at half its height, in pixels.
    """
    height, width = size
    sharpness = 4 * np.log(2) / fwhm**2
    heat = np.zeros(size, dtype=np.float32)
    for x, y in np.asarray(points, dtype=np.float32).reshape(-1, 2):
        row = np.exp(-sharpness * (np.arange(width, dtype=np.float32) - x) ** 2)
        column = np.exp(-sharpness * (np.arange(height, dtype=np.float32) - y) ** 2)
        np.maximum(heat, np.outer(column, row), out=heat)
    return 255 * heat


def extreme_prompt(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """DEXTR's prompt: all points in one map, float32 `(1, h, w)` in 0..255."""
    return heat_map(points, size)[None]


def inside_outside_prompt(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """IOG's prompt: the first point in one map, the others in a second, `(2, h, w)` in 0..255."""
    return np.stack([heat_map(points[:1], size), heat_map(points[1:], size)])


def next_click(
    prediction: np.ndarray,
    target: np.ndarray,
    rng: np.random.Generator,
    void: np.ndarray | None = None,
    authors_transposed: bool = False,
) -> Click | None:
    """Where a user would click next: deep in what is wrong; None where nothing is wrong.

    The point is as far as any from the border of the wrongly decided region; the image's border
    does not count as one, as with IOG's authors. Pixels of `void` are never wrong.

    Args:
        prediction: The mask so far.
        target: The right mask, of the same shape.
        rng: Decides between points of equal depth.
        void: Pixels that do not count.
        authors_transposed: Look at the target's pixel (row x, column y) to tell whether the click
            lies on the object, as the authors' code does, instead of at the click. For reproducing
            their numbers on square crops.
    """
    wrong = (prediction != 0) != (target != 0)
    if void is not None:
        wrong &= void == 0
    if not wrong.any():
        return None
    y, x = _deepest(_depth(wrong), rng)
    inside = target[x, y] if authors_transposed else target[y, x]
    return Click(x, y, bool(inside))


def add_click(prompt: np.ndarray, click: Click, fwhm: float = FWHM) -> np.ndarray:
    """IOG's prompt `(2, h, w)` with a click drawn into its inside or its outside map."""
    added = prompt.copy()
    channel = added[0 if click.inside else 1]
    np.maximum(channel, heat_map([click[:2]], channel.shape, fwhm), out=channel, casting="unsafe")
    return added


def _depth(region: np.ndarray) -> np.ndarray:
    """Euclidean distance of each pixel of `region` to the nearest pixel outside of it."""
    if region.all():
        # No outside at all: SciPy, and so the authors, measure from a point before the first pixel.
        rows, columns = np.ogrid[1 : region.shape[0] + 1, : region.shape[1]]
        return np.sqrt(rows**2 + columns**2).astype(np.float32)
    return cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _deepest(depth: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    candidates = np.argwhere(depth == depth.max())
    row, column = candidates[rng.integers(len(candidates))]
    return int(row), int(column)


class Prompts(Protocol):
    """How a paper's user points at an object, and how large the crop around it is."""

    kind: ClassVar[Kind]

    @property
    def relax(self) -> int:
        """Pixels of the image by which the crop exceeds the object's tight box on every side."""
        ...

    def draw(self, mask: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        """Heat maps `(K, h, w)` in 0..255 for a mask `(h, w)` of the network's size."""
        ...

    def heat(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Heat maps `(K, h, w)` in 0..255 of points `(N, 2)` in a crop of `size` (h, w)."""
        ...


@dataclass(frozen=True)
class ExtremePoints:
    """DEXTR: the four extreme points in one map.

    Args:
        relax: Pixels of the image by which the crop exceeds the tight box on every side.
        jitter: How far from its side a point may lie in training, in pixels of the crop.
    """

    kind: ClassVar[Kind] = "extreme_points"
    relax: Annotated[int, Ge(0)] = 50
    jitter: Annotated[int, Ge(0)] = 5

    def draw(self, mask: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        points = extreme_points(mask, rng, self.jitter if training else 0)
        return self.heat(points, (mask.shape[0], mask.shape[1]))

    def heat(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return extreme_prompt(points, size)


@dataclass(frozen=True)
class InsideOutsidePoints:
    """IOG: a click deep inside, and the four corners of the box as clicks outside.

    Args:
        relax: Pixels of the image by which the crop exceeds the tight box on every side.
        margin: How far the corners lie outside of the tight box, in pixels of the crop.
    """

    kind: ClassVar[Kind] = "inside_outside"
    relax: Annotated[int, Ge(0)] = 30
    margin: Annotated[int, Ge(0)] = MARGIN

    def draw(self, mask: np.ndarray, rng: np.random.Generator, training: bool) -> np.ndarray:
        points = inside_outside_points(mask, rng, self.margin)
        return self.heat(points, (mask.shape[0], mask.shape[1]))

    def heat(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return inside_outside_prompt(points, size)


KINDS: dict[str, type[ExtremePoints] | type[InsideOutsidePoints]] = {
    made.kind: made for made in (ExtremePoints, InsideOutsidePoints)
}


def to_dict(prompts: Prompts) -> dict[str, Any]:
    """Plain values, for checkpoints; `prompts_of` reads them."""
    return {"kind": prompts.kind, **asdict(prompts)}  # type: ignore[call-overload]


def prompts_of(kind: str, **values: Any) -> Prompts:
    """The prompts that `to_dict` wrote down.

    Raises:
        ValueError: No such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"prompts of the kind {kind!r} are unknown; known: {', '.join(KINDS)}")
    return KINDS[kind](**values)
