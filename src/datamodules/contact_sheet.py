"""One picture of many samples, their masks drawn over them, to be looked at before training."""

from collections.abc import Sequence

import cv2
import numpy as np

from .images import read_image, read_mask
from .inspection import Facts

_TILE = 192
_COLUMNS = 8
_COLOUR = (255, 0, 170)  # rare in photographs


def contact_sheet(facts: Sequence[Facts], rows: int = 4) -> np.ndarray:
    """Tiles of the smallest, middle and largest foregrounds, uint8 RGB.

    Args:
        facts: Inspected pairs, at least one.
        rows: Rows of eight tiles.
    """
    ordered = sorted(facts, key=lambda fact: fact.foreground)
    count = min(rows * _COLUMNS, len(ordered))
    chosen = [ordered[i] for i in np.linspace(0, len(ordered) - 1, count).round().astype(int)]
    height = -(-count // _COLUMNS)
    sheet = np.full((height * _TILE, min(count, _COLUMNS) * _TILE, 3), 255, dtype=np.uint8)
    for i, fact in enumerate(chosen):
        top, left = (i // _COLUMNS) * _TILE, (i % _COLUMNS) * _TILE
        sheet[top : top + _TILE, left : left + _TILE] = _tile(fact)
    return sheet


def _tile(fact: Facts) -> np.ndarray:
    scale = (_TILE - 4) / max(fact.height, fact.width)
    size = max(1, round(fact.width * scale)), max(1, round(fact.height * scale))
    image = read_image(fact.pair.image, at_least=(size[1], size[0]))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(read_mask(fact.pair.mask), size, interpolation=cv2.INTER_AREA)
    weight = mask[..., None] / 255 * 0.45
    drawn = (image * (1 - weight) + np.array(_COLOUR) * weight).astype(np.uint8)
    outlines, _ = cv2.findContours(
        (mask >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(drawn, outlines, -1, _COLOUR, 1)
    tile = np.full((_TILE, _TILE, 3), 255, dtype=np.uint8)
    tile[2 : 2 + size[1], 2 : 2 + size[0]] = drawn
    return tile
