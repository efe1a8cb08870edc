"""Overlapping tiles with blended seams, for structures that are lost when a picture is shrunk."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Read = Callable[[list[np.ndarray]], list[Tensor]]


def tiled_logits(
    image: np.ndarray, tile: tuple[int, int], overlap: float, batch_size: int, read: Read
) -> Tensor:
    """Logits `(H, W)` of an image `(H, W, 3)`, read in tiles at its own resolution.

    A pixel is the mean of the tiles that cover it, weighted by how far it is from their edges.

    Args:
        tile: Height and width of a tile.
        overlap: Share of a tile that it has in common with its neighbour, at least.
        batch_size: Tiles that are read at once.
        read: Logits of pictures `(h, w, 3)`, of any size.
    """
    height, width = image.shape[:2]
    tall, wide = min(tile[0], height), min(tile[1], width)
    corners = [(y, x) for y in starts(height, tall, overlap) for x in starts(width, wide, overlap)]
    weight = torch.outer(_ramp(tall, overlap), _ramp(wide, overlap))
    total, weights = torch.zeros(height, width), torch.zeros(height, width)
    for first in range(0, len(corners), batch_size):
        some = corners[first : first + batch_size]
        logits = read([np.ascontiguousarray(image[y : y + tall, x : x + wide]) for y, x in some])
        for (y, x), one in zip(some, logits, strict=True):
            fitted = F.interpolate(
                one.float().cpu()[None, None], (tall, wide), mode="bilinear", align_corners=False
            )
            total[y : y + tall, x : x + wide] += weight * fitted[0, 0]
            weights[y : y + tall, x : x + wide] += weight
    return total / weights


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis, evenly spread so that the last ends with the image."""
    if length <= tile:
        return [0]
    step = max(1, round(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _ramp(length: int, overlap: float) -> Tensor:
    """Rises from a tile's edge over its overlap, never to zero: borders are covered only once."""
    distance = torch.arange(length) + 1
    distance = torch.minimum(distance, distance.flip(0)).float()
    return (distance / max(1.0, overlap * length)).clamp(max=1)
