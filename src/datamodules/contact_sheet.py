"""One picture of many samples, their masks drawn over them, to be looked at before training."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.datamodules.images import judge_mask, read_image
from src.datamodules.inspection import ImageStats

_TILE = 188
_MARGIN = 2
_COLUMNS = 8
_COLOUR = (255, 0, 170)  # rare in photographs


def contact_sheet(facts: Sequence[ImageStats], rows: int = 4) -> np.ndarray:
    """Tiles of the smallest, middle and largest foregrounds, uint8 RGB.

    Args:
        facts: Inspected pairs, at least one.
        rows: Rows of eight tiles.
    """
    ordered = sorted(facts, key=lambda fact: fact.foreground)
    count = min(rows * _COLUMNS, len(ordered))
    chosen = [ordered[i] for i in np.linspace(0, len(ordered) - 1, count).round().astype(int)]
    return arrange([_tile(fact) for fact in chosen], _COLUMNS)


def arrange(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Lay tiles of one size `(h, w, 3)` out in rows, uint8 RGB, the rest of the last row white."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, min(len(tiles), columns) * width, 3), 255, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * height, (i % columns) * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


def with_outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An RGB image `(h, w, 3)` with the outlines of a mask `(h, w)`, both uint8."""
    outlines, _ = cv2.findContours(
        (mask >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(image.copy(), outlines, -1, _COLOUR, 1)


def framed(image: np.ndarray, side: int) -> np.ndarray:
    """An RGB image of at most `side` pixels on a white square with a margin."""
    tile = np.full((side + 2 * _MARGIN, side + 2 * _MARGIN, 3), 255, dtype=np.uint8)
    height, width = image.shape[:2]
    tile[_MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width] = image
    return tile


def _tile(fact: ImageStats) -> np.ndarray:
    scale = _TILE / max(fact.height, fact.width)
    size = max(1, round(fact.width * scale)), max(1, round(fact.height * scale))
    image = read_image(fact.pair.image, at_least=(size[1], size[0]))
    return tile_of(image, judge_mask(fact.pair.mask).mask)


def tile_of(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A small image with its mask laid over it, on a white square.

    Args:
        image: uint8 RGB `(h, w, 3)`, no smaller than the tile.
        mask: uint8 `(H, W)` of the same form, 255 = foreground.
    """
    scale = _TILE / max(mask.shape)
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    weight = mask[..., None] / 255 * 0.45
    drawn = (image * (1 - weight) + np.array(_COLOUR) * weight).astype(np.uint8)
    return framed(with_outline(drawn, mask), _TILE)
