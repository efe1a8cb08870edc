"""What is drawn of images and masks, everywhere in one color code: panels, errors, outlines, grids.

All images are uint8 RGB `(h, w, 3)`, all masks uint8 `(h, w)`.
"""

from collections.abc import Sequence

import cv2
import numpy as np

# Of errors: what both have, what the prediction misses, what it has too much.
AGREED, MISSED, EXTRA = (110, 110, 110), (230, 60, 60), (30, 120, 230)
MASK = (255, 0, 170)  # rare in photographs
VOID = (60, 120, 255)
# One for each map of a prompt: extreme points or clicks inside, then clicks outside.
PROMPTS = ((0, 255, 90), (255, 70, 0))
Color = tuple[int, int, int]

_BETWEEN = 90  # gray of what lies between rows and beside narrow ones
_GAP = 6  # pixels between rows
_TITLE, _CAPTION = 22, 20  # height of a line of text
_MARGIN = 2
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def error_map(prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Gray where both agree on foreground, red where it is missed, blue where it is too much.

    Maps between 0 and 255 give colors between; binary ones give the three colors themselves.
    """
    ours, theirs = prediction.astype(np.float32) / 255, target.astype(np.float32) / 255
    parts = (
        (np.minimum(ours, theirs), AGREED),
        (np.maximum(theirs - ours, 0), MISSED),
        (np.maximum(ours - theirs, 0), EXTRA),
    )
    drawn = sum(share[..., None] * np.array(color, np.float32) for share, color in parts)
    return np.asarray(np.rint(drawn), np.uint8)


def side_by_side(panels: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Panels `(h, w)` or `(h, w, 3)` of any size in one row `(height, n·width, 3)`."""
    return np.concatenate([_fit(panel, height, width) for panel in panels], axis=1)


def stack_rows(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of different widths under one another."""
    widest = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, widest - row.shape[1], _GAP) for row in rows])


def with_title(row: np.ndarray, title: str) -> np.ndarray:
    """A row under a line of text; a long text widens it."""
    width = max(row.shape[1], 12 * len(title))
    line = np.full((_TITLE, width, 3), _BETWEEN, np.uint8)
    cv2.putText(line, title, (4, 16), _FONT, 0.45, (255,) * 3, 1, cv2.LINE_AA)
    return np.concatenate([line, _padded(row, width - row.shape[1], 0)])


def with_outline(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An image with the outlines of a mask of its size, on at 128."""
    outlines, _ = cv2.findContours(
        (mask >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(image.copy(), outlines, -1, MASK, 1)


def tinted(image: np.ndarray, strength: np.ndarray, color: Color) -> np.ndarray:
    """An image under a color, as strong as `strength` `(h, w)` in 0..255 says for each pixel."""
    weight = np.clip(strength[..., None] / 255, 0, 1)
    return (image * (1 - weight) + np.array(color) * weight).astype(np.uint8)


def framed(image: np.ndarray, side: int) -> np.ndarray:
    """An image of at most `side` pixels on a white square with a margin."""
    tile = np.full((side + 2 * _MARGIN, side + 2 * _MARGIN, 3), 255, dtype=np.uint8)
    height, width = image.shape[:2]
    tile[_MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width] = image
    return tile


def captioned(tile: np.ndarray, name: str) -> np.ndarray:
    """A tile over a line with a name, whose end is shown where it is too long."""
    line = np.full((_CAPTION, tile.shape[1], 3), 255, dtype=np.uint8)
    letters = tile.shape[1] // 8  # OpenCV's are about so wide at this size
    shown = name if len(name) <= letters else f"..{name[2 - letters :]}"
    cv2.putText(line, shown, (4, _CAPTION - 6), _FONT, 0.42, (0, 0, 0), 1)
    return np.vstack([tile, line])


def mask_tile(image: np.ndarray, mask: np.ndarray, side: int) -> np.ndarray:
    """A small image with its mask laid over it, on a white square.

    Args:
        image: No smaller than the tile.
        mask: Of the same form, of any size; 255 = foreground.
        side: Pixels of the longer side, without the margin.
    """
    scale = side / max(mask.shape)
    size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    return framed(with_outline(tinted(image, mask * 0.45, MASK), mask), side)


def grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one size in rows, the rest of the last row white."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, min(len(tiles), columns) * width, 3), 255, dtype=np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * height, (i % columns) * width
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _fit(panel: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < panel.shape[0]
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST  # enlarged, pixels stay visible
    resized = cv2.resize(panel.astype(np.uint8), (width, height), interpolation=kernel)
    return cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB) if resized.ndim == 2 else resized


def _padded(row: np.ndarray, right: int, below: int) -> np.ndarray:
    return np.pad(row, ((0, below), (0, right), (0, 0)), constant_values=_BETWEEN)
