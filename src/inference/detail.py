"""Structures that shrinking loses: overlapping tiles, InSPyReNet's blending of two resolutions."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from src.processing import Processor
from src.processing.processor import dynamic_size
from src.processing.resize import resize

Read = Callable[[list[np.ndarray]], list[Tensor]]
# The authors' settings: up to which side an image is read once, at the model's size, and the
# longest short side of its copy at high resolution.
SMALL = 512
SHORT_SIDE = 1280


def tiled_logits(
    image: np.ndarray, tile: tuple[int, int], overlap: float, batch_size: int, read: Read
) -> Tensor:
    """Logits `(H, W)` of an image `(H, W, 3)`, read in tiles at its own resolution.

    A pixel is the mean of the tiles that cover it, weighted by how far it is from their edges.

    Args:
        tile: Height and width of a tile.
        overlap: Share of a tile that it has in common with its neighbor, at least.
        batch_size: Tiles that are read at once.
        read: Logits of images `(h, w, 3)`, of any size.
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


def blended_logits(
    network: Any,
    processor: Processor,
    image: np.ndarray,
    to_tensor: Callable[[np.ndarray], Tensor],
    autocast: Callable[[], AbstractContextManager[Any]],
    read_whole: Callable[[list[np.ndarray]], list[Tensor]],
) -> Tensor:
    """Logits `(h, w)` of an image `(H, W, 3)`, decided at the model's size, sharpened above it.

    Args:
        network: Has `forward_blended(image, image_lr)`.
        processor: The model's; its kernel makes both copies.
        to_tensor: `(B, h, w, 3)` to `(B, 3, h, w)` on the device.
        autocast: The context in which the network runs.
        read_whole: What reads an image with a small side.
    """
    if min(image.shape[:2]) <= SMALL:
        return read_whole([image])[0]
    width, height = dynamic_size(image.shape[1], image.shape[0], SHORT_SIDE)
    large = resize(image, (height, width), processor.image_kernel)
    fine, coarse = (
        processor.normalize(to_tensor(picture[None]))
        for picture in (large, processor.resize_image(image))
    )
    with autocast():
        return network.forward_blended(fine, coarse).masks[0][0, 0].float()
