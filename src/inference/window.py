"""A window of an image, read again at the image's own resolution and joined to the mask.

A network that sees a part of an image decides anew what stands out in it: half a wheel is no
bicycle, and the tube that fills the window is background. So the second reading may only say how
what was found looks from near, not what is found. Both are compared at the resolution of the first,
where the second has nothing more to show: where they agree, the second is taken, where it
contradicts, the first stays.
"""

import cv2
import numpy as np

from src.processing.crop import Box

Size = tuple[int, int]
# Differences at the first reading's resolution, of 1: up to the lower one is detail, beyond the
# upper one contradiction. A wire of a third of a network's pixel makes a difference of a third, so
# that less is allowed where it extends over more than `_NARROW` of the network's pixels.
_DIFFERENCE, _WIDE_DIFFERENCE = (0.2, 0.6), (0.04, 0.12)
_NARROW = 2
_LEAST_CERTAINTY = 0.5
_SOFTNESS = 1.5  # of a network's edges, standard deviation in its own pixels
_REACH = 2  # of a contradiction, in the network's pixels: its outline is no detail either
_FEATHER = 8  # a window's shorter side holds the default feather so many times


def area_to_read(window: Box, size: Size, input_size: Size) -> Box:
    """What the network sees of an image to answer for `window`; it holds the window.

    It has the network's own size at least, so that a small window is seen among what surrounds it
    instead of being magnified, and it is no strip: a side has at least half of what the other one
    asks for. It ends at the image's edges, where the window then is not in its middle.

    Args:
        window: Within the image.
        size: Height and width of the image.
        input_size: Height and width of the network's input.
    """
    (height, width), (tall, wide) = window.size, input_size
    top, bottom = _span(
        window.y_min, height, max(height, tall, round(width * tall / wide / 2)), size[0]
    )
    left, right = _span(
        window.x_min, width, max(width, wide, round(height * wide / tall / 2)), size[1]
    )
    return Box(left, top, right, bottom)


def _span(start: int, length: int, wanted: int, limit: int) -> tuple[int, int]:
    """First and last pixel of `wanted` pixels around others, moved to lie within the image."""
    count = min(wanted, limit)
    first = min(max(0, start - (count - length) // 2), limit - count)
    return first, first + count - 1


def join_window(
    mask: np.ndarray,
    reading: np.ndarray,
    window: Box,
    *,
    step: tuple[float, float],
    feather: int | None = None,
    overrule: bool = False,
) -> np.ndarray:
    """A mask with a window read again; outside the window it is the mask as it was, exactly.

    A pixel becomes `mask + trust · feather · (reading - mask)`: `trust` is 1 where both readings
    say the same at the resolution of the first, and falls to 0 where they contradict; `feather`
    rises from 0 at the window's sides, smoothly, to 1, but not from the image's own edges, where
    there is nothing to join.

    Args:
        mask: uint8 `(H, W)`, of the whole image.
        reading: uint8 `(h, w)`, of the window.
        window: Within the image.
        step: Rows and columns of the image that a pixel of the first reading stands for.
        feather: Its width in pixels; None for an eighth of the window's shorter side.
        overrule: Trust the second reading everywhere.
    """
    before, after = mask[window.slices].astype(np.float32), reading.astype(np.float32)
    if feather is None:
        feather = max(1, min(window.size) // _FEATHER)
    weight = feather_weights(window, (mask.shape[0], mask.shape[1]), feather)
    if not overrule:
        weight = weight * _trust(before / 255, after / 255, step)
    joined = mask.copy()
    joined[window.slices] = np.rint(before + weight * (after - before))
    return joined


def feather_weights(window: Box, size: Size, feather: int) -> np.ndarray:
    """Weights `(h, w)` in [0, 1] of a window: 0 at its sides and 1 from `feather` pixels on."""
    height, width = window.size
    rows = _rise(height, feather, window.y_min > 0, window.y_max < size[0] - 1)
    columns = _rise(width, feather, window.x_min > 0, window.x_max < size[1] - 1)
    return np.minimum.outer(rows, columns)


def _rise(length: int, feather: int, at_start: bool, at_end: bool) -> np.ndarray:
    if feather == 0:
        return np.ones(length, np.float32)
    distance = np.full(length, np.inf, np.float32)
    if at_start:
        distance = np.minimum(distance, np.arange(length, dtype=np.float32))
    if at_end:
        distance = np.minimum(distance, np.arange(length, dtype=np.float32)[::-1])
    return _smooth(distance / feather)


def _smooth(values: np.ndarray) -> np.ndarray:
    """From 0 to 1 without a corner: 3x² - 2x³."""
    clipped = np.clip(values, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)


def _trust(before: np.ndarray, after: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """Weights `(h, w)` in [0, 1]: how far two readings in [0, 1] agree, seen as coarsely as the
    first.
    """
    height, width = before.shape
    grid = (max(1, round(width / max(1, step[1]))), max(1, round(height / max(1, step[0]))))
    coarse, fine = (
        cv2.GaussianBlur(cv2.resize(values, grid, interpolation=cv2.INTER_AREA), (0, 0), _SOFTNESS)
        for values in (before, after)
    )
    # Where the first reading was undecided all around, the second one may decide.
    certainty = np.maximum(np.abs(2 * coarse - 1), _LEAST_CERTAINTY)
    difference = np.abs(fine - coarse) * certainty
    wide = cv2.erode(difference, _disc(_NARROW + 1), borderType=cv2.BORDER_REPLICATE)
    trust = np.minimum(
        _small(cv2.dilate(difference, _disc(2 * _REACH + 1)), *_DIFFERENCE),
        _small(cv2.dilate(wide, _disc(_NARROW + 2 * _REACH + 1)), *_WIDE_DIFFERENCE),
    )
    return cv2.resize(
        cv2.GaussianBlur(trust, (0, 0), 1), (width, height), interpolation=cv2.INTER_LINEAR
    )


def _small(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return 1 - _smooth((values - low) / (high - low))


def _disc(diameter: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
