"""A mask in COCO's words: run-length code or polygons along its pixels' edges, area and box."""

from typing import Any, Literal

import cv2
import numpy as np

from src.datamodules.coco_format import coco_masks

Polygon = list[tuple[int, int]]
Edge = tuple[int, int, int]  # the corner where it starts, and the number of its direction

# Right, down, left, up: a turn to the right is the next number.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
Format = Literal["rle", "polygon"]


def polygons(mask: np.ndarray) -> list[Polygon]:
    """One polygon for each part of a mask `(H, W)`, foreground where not 0.

    Parts are pixels that touch at their sides. A hole is joined to its outline by a cut of no
    width, since a COCO polygon has no holes; what fills by the even-odd rule leaves it open.
    """
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(
        (mask != 0).astype(np.uint8), connectivity=4
    )
    found = []
    for label in range(1, count):
        x, y, width, height = (int(side) for side in boxes[label, :4])
        part = labels[y : y + height, x : x + width] == label
        found.append([(x + i, y + j) for i, j in _joined(_loops(part))])
    return found


def _loops(part: np.ndarray) -> list[Polygon]:
    """The closed outlines of a part `(h, w)`: the outer one clockwise, holes the other way."""
    edges = _edges(part)
    left = set(edges)
    loops = []
    for start in edges:
        if start not in left:
            continue
        loop: Polygon = []
        edge = start
        while not loop or edge != start:
            left.discard(edge)
            x, y, direction = edge
            x, y = x + _STEPS[direction][0], y + _STEPS[direction][1]
            # Right first: pixels that touch at a corner only are not joined there.
            turns = ((direction + turn) % 4 for turn in (1, 0, -1))
            turned = next(t for t in turns if (x, y, t) in left or (x, y, t) == start)
            if turned != direction:
                loop.append((x, y))
            edge = (x, y, turned)
        loops.append(loop)
    return loops


def _edges(part: np.ndarray) -> list[Edge]:
    """The sides of pixels that lie on the outline, with the foreground to their right."""
    padded = np.pad(part, 1)
    inside = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    starts = ((0, 0), (1, 0), (1, 1), (0, 1))
    edges: list[Edge] = []
    for direction, (neighbour, (dx, dy)) in enumerate(zip(neighbours, starts, strict=True)):
        rows, columns = np.nonzero(inside & ~neighbour)
        corners = zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True)
        edges += [(x, y, direction) for x, y in corners]
    return edges


def _joined(loops: list[Polygon]) -> Polygon:
    """The outer outline, with a cut there and back to each hole."""
    outer = next(loop for loop in loops if _area(loop) > 0)
    for hole in (loop for loop in loops if _area(loop) < 0):
        gaps = np.abs(np.array(outer)[:, None] - np.array(hole)[None]).sum(axis=2)
        i, j = divmod(int(gaps.argmin()), len(hole))
        outer = [*outer[: i + 1], *hole[j:], *hole[: j + 1], *outer[i:]]
    return outer


def _area(loop: Polygon) -> float:
    """The area inside, negative where the outline runs anticlockwise on the screen."""
    x, y = np.array(loop, dtype=np.int64).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


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
