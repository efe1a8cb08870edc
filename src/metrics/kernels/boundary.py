"""Agreement near the boundary alone: mean boundary accuracy and boundary IoU."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray, require_pair
from src.metrics.kernels.bits import (
    Words,
    complement,
    count,
    grow_convex,
    grow_cross,
    grow_square,
    pack,
)

_RADII = 5
_DILATION = 0.02  # of the diagonal


def mba(prediction: Gray, target: Gray) -> float:
    """Mean boundary accuracy (Cheng et al., "CascadePSP", CVPR 2020).

    The share of correct pixels near the target's boundary, averaged over five radii from 1 towards
    `(W + H) / 300`. NaN if the target has no boundary.

    Args:
        prediction: uint8 `(H, W)`, binarized at > 128.
        truth: uint8 `(H, W)`, binarized at > 128.

    Raises:
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    require_pair(prediction, target)
    height, width = target.shape
    inside = pack(target > FOREGROUND_ABOVE)
    outside = complement(inside, width)
    # a disk that meets both classes also meets a pixel that touches the other class, so that it is
    # enough to grow the two lines along the boundary
    outer, inner = grow_cross(inside, outside, 1), grow_cross(outside, inside, 1)
    if not outer.any():
        return float("nan")
    wrong = pack(prediction > FOREGROUND_ABOVE) ^ inside
    scores = []
    for reaches in _disks(height, width):
        near = inside & grow_convex(outer, width, reaches)
        near |= outside & grow_convex(inner, width, reaches)
        pixels = count(near)
        scores.append((pixels - count(near & wrong)) / pixels)
    return float(np.mean(scores))


def boundary_iou(prediction: Gray, target: Gray) -> float:
    """Boundary IoU of the maps at > 128 (Cheng et al., "Boundary IoU", CVPR 2021).

    The IoU of the two masks' inner boundaries, 2 % of the diagonal wide; the image's border counts
    as a boundary. 0 if neither map has any foreground. Arguments and errors are those of `mba`.
    """
    require_pair(prediction, target)
    ours = _inner_boundary(pack(prediction > FOREGROUND_ABOVE), target.shape)
    theirs = _inner_boundary(pack(target > FOREGROUND_ABOVE), target.shape)
    return count(ours & theirs) / max(1, count(ours | theirs))


def _disks(height: int, width: int) -> list[npt.NDArray[np.int64]]:
    """Columns to each side of the disks' rows, from the middle row outwards."""
    disks = []
    for step in range(_RADII):
        radius = 1 + int(((width + height) / 300 - 1) / _RADII * step)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        disks.append((disk[radius:].sum(axis=1, dtype=np.int64) - 1) // 2)
    return disks


def _thickness(shape: tuple[int, ...]) -> int:
    return max(1, round(_DILATION * math.hypot(*shape)))


def _inner_boundary(mask: Words, shape: tuple[int, ...]) -> Words:
    height, width = shape
    radius = _thickness(shape)
    boundary = grow_square(complement(mask, width), width, radius)
    rows = min(radius, height)
    boundary[1 : 1 + rows] = boundary[-1 - rows : -1] = ~np.uint64(0)  # outside is background
    columns = np.zeros((1, width), np.bool_)
    columns[:, :radius] = columns[:, max(0, width - radius) :] = True
    return mask & (boundary | pack(columns)[1])
