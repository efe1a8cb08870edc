"""The foreground's own colors: F of `image = alpha·F + (1 - alpha)·B`, which only soft edges mix.

Blur fusion (Forte & Pitié, "Approximate fast foreground colour estimation", ICIP 2021): either side
is filled in by a weighted blur, then the foreground is corrected to explain the image; a wide round
reaches what is covered, a narrow one sharpens. Three forms, whose numbers differ:

- `fast`: ours, the wide round on a quarter of the size.
- `blur_fusion`: the authors', with OpenCV's box.
- `birefnet`: as BiRefNet's authors run it in torch, with another box; theirs by default.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import cv2
import numpy as np

Method = Literal["fast", "blur_fusion", "birefnet"]

COARSE, FINE = 90, 6  # pixels: the first fills what is covered, the second sharpens (paper's)
_SHRINK = 4  # the wide round needs no more resolution
_SMALL = 1e-5
_STRIP = 512  # rows at once, so that memory does not grow with the image


class _Box(NamedTuple):
    """A mean over a square. OpenCV's of an even side reaches a pixel farther to the left and up."""

    side: int
    anchor: int
    border: int

    def blur(self, values: np.ndarray) -> np.ndarray:
        size, anchor = (self.side, self.side), (self.anchor, self.anchor)
        blurred = cv2.blur(values, size, anchor=anchor, borderType=self.border)
        return blurred.reshape(values.shape)


def _box(method: Method, side: int) -> _Box:
    if method == "fast":
        return _Box(2 * side + 1, side, cv2.BORDER_REFLECT_101)
    if method == "blur_fusion":
        return _Box(side, side // 2, cv2.BORDER_REFLECT_101)
    return _Box(side, (side - 1) // 2, cv2.BORDER_REPLICATE)


class _Sides(NamedTuple):
    """Colors of either side, float32 `(h, w, 3)`: what a round starts from, and what it makes."""

    foreground: np.ndarray
    background: np.ndarray


def foreground_colors(
    image: np.ndarray,
    alpha: np.ndarray,
    opacity: np.ndarray | None = None,
    method: Method = "fast",
    sides: tuple[int, int] = (COARSE, FINE),
) -> np.ndarray:
    """Estimate F of `image = alpha·F + (1 - alpha)·B`.

    Args:
        image: float32 `(H, W, 3)` in [0, 1].
        alpha: float32 `(H, W)` in [0, 1].
        opacity: float32 `(H, W)` in [0, 1], how much of each pixel of the image is visible: what
            is not visible lends its color to nothing. None where all is.
        method: One of the module's forms.
        sides: Of the wide and of the narrow box, in pixels.

    Returns:
        float32 `(H, W, 3)` in [0, 1], equal to the image where alpha is 1; where it is 0 nothing
        says what F is.
    """
    alpha = alpha[..., None]
    visible = None if opacity is None else opacity[..., None]
    wide, narrow = (_box(method, side) for side in sides)
    filled, reach = None, sum(sides)
    if method == "fast":
        filled, reach = _filled_in(image, alpha, visible, sides[0]), sides[1]
    found = np.empty_like(image)
    for rows, kept in _strips(len(image), reach):
        colors, share = image[rows], alpha[rows]
        shown = None if visible is None else visible[rows]
        if filled is None:
            first = _round(colors, _Sides(colors, colors), share, wide, shown)
        else:
            first = _Sides(*(side[rows] for side in filled))
        meant = slice(kept.start - rows.start, kept.stop - rows.start)
        found[kept] = _round(colors, first, share, narrow, shown).foreground[meant]
    return found


def _strips(height: int, reach: int) -> Iterator[tuple[slice, slice]]:
    """Rows to read, with what a blur reaches around them, and the rows among them that are made."""
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        yield slice(max(0, top - reach), min(height, bottom + reach)), slice(top, bottom)


def _filled_in(
    image: np.ndarray, alpha: np.ndarray, opacity: np.ndarray | None, side: int
) -> _Sides:
    """The wide round on a smaller copy, brought back to the image's size."""
    size = (alpha.shape[1], alpha.shape[0])
    small = (max(1, size[0] // _SHRINK), max(1, size[1] // _SHRINK))
    little, little_alpha = (
        cv2.resize(values, small, interpolation=cv2.INTER_AREA) for values in (image, alpha)
    )
    weight = None
    if opacity is not None:
        weight = cv2.resize(opacity, small, interpolation=cv2.INTER_AREA)[..., None]
        little = cv2.resize(image * opacity, small, interpolation=cv2.INTER_AREA)
        little = little / np.maximum(weight, _SMALL)
    wide = _box("fast", side // _SHRINK)
    made = _round(little, _Sides(little, little), little_alpha[..., None], wide, weight)
    return _Sides(*(cv2.resize(colors, size) for colors in made))


def _round(
    image: np.ndarray, known: _Sides, alpha: np.ndarray, box: _Box, opacity: np.ndarray | None
) -> _Sides:
    """Blurred colors of either side, then the foreground corrected to explain the image."""
    front, behind = alpha, 1 - alpha
    if opacity is not None:
        front, behind = front * opacity, behind * opacity
    foreground = _weighted_blur(known.foreground, front, box)
    background = _weighted_blur(known.background, behind, box)
    explained = alpha * foreground + (1 - alpha) * background
    return _Sides(np.clip(foreground + alpha * (image - explained), 0, 1), background)


def weighted_blur(image: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    """Mean of the colors within a square of `2·radius + 1` pixels, by weight `(H, W, 1)`."""
    return _weighted_blur(image, weight, _box("fast", radius))


def _weighted_blur(image: np.ndarray, weight: np.ndarray, box: _Box) -> np.ndarray:
    return box.blur(image * weight) / (box.blur(weight) + _SMALL)
