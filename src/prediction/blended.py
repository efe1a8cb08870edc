"""InSPyReNet's blending of a low and a high resolution (ACCV 2022, section 3.4)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from torch import Tensor

from src.geometry import Geometry
from src.geometry.dynamic import dynamic_size
from src.geometry.resize import resize

# The authors' settings: up to which side a picture is read once, at the model's size, and the
# longest short side of its copy at high resolution.
SMALL = 512
SHORT_SIDE = 1280


def blended_logits(
    network: Any,
    geometry: Geometry,
    image: np.ndarray,
    to_tensor: Callable[[np.ndarray], Tensor],
    autocast: Callable[[], AbstractContextManager[Any]],
    read_whole: Callable[[list[np.ndarray]], list[Tensor]],
) -> Tensor:
    """Logits `(h, w)` of an image `(H, W, 3)`, decided at the model's size, sharpened above it.

    Args:
        network: Has `forward_blended(image, image_lr)`.
        geometry: The model's; its kernel makes both copies.
        to_tensor: `(B, h, w, 3)` to `(B, 3, h, w)` on the device.
        autocast: The context in which the network runs.
        read_whole: What reads a picture with a small side.
    """
    if min(image.shape[:2]) <= SMALL:
        return read_whole([image])[0]
    width, height = dynamic_size(image.shape[1], image.shape[0], SHORT_SIDE)
    large = resize(image, (height, width), geometry.image_kernel)
    fine, coarse = (
        geometry.normalise(to_tensor(picture[None]))
        for picture in (large, geometry.resize_image(image))
    )
    with autocast():
        return network.forward_blended(fine, coarse).masks[0][0, 0].float()
