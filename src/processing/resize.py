"""Resizing images the way each paper's code did: the kernel moves published numbers.

- `opencv`: bilinear, half-pixel centers, no antialiasing. Within one gray level of torch's
  `interpolate` (IS-Net) and of scikit-image's order 1 without antialiasing (U²-Net), and the
  fastest of all.
- `opencv_cubic`: bicubic without antialiasing (DEXTR's crops).
- `pillow`: bilinear with antialiasing when shrinking (InSPyReNet).
- `opencv_nearest`: the pixel at or before the place (DEXTR's masks).
- `nearest`: the pixel whose center is nearest, as Pillow's (InSPyReNet's masks); a place half way
  between two pixels may fall to the other one.
- `whole`: not at all, for exported files that take images of any size.
- `area`: averages the covered pixels; nobody's paper, the least aliasing for one's own data.
"""

from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image

Kernel = Literal["opencv", "opencv_cubic", "opencv_nearest", "pillow", "area", "nearest", "whole"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)

_OPENCV_FLAGS = {
    "opencv": cv2.INTER_LINEAR,
    "opencv_cubic": cv2.INTER_CUBIC,
    "opencv_nearest": cv2.INTER_NEAREST,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST_EXACT,  # pixel centers, as Pillow
}


def resize(image: np.ndarray, size: tuple[int, int], kernel: Kernel) -> np.ndarray:
    """Resize a uint8 image `(H, W)` or `(H, W, C)` to `size`, given as (height, width)."""
    if kernel not in KERNELS:
        raise ValueError(f"resize kernel {kernel!r} is unknown; choose one of {', '.join(KERNELS)}")
    if kernel == "whole" or image.shape[:2] == tuple(size):
        return image
    height, width = size
    if kernel == "pillow":
        pillow = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(pillow)
    return cv2.resize(image, (width, height), interpolation=_OPENCV_FLAGS[kernel])
