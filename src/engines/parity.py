"""How far two answers may be apart and count as the same, and a drawing to compare them on."""

from typing import NamedTuple

import cv2
import numpy as np

_FARTHEST = (float("inf"),) * 3


class Tolerance(NamedTuple):
    """What still counts as the same, in gray levels of 255.

    graph_p99, graph_mean: The file against the same graph in PyTorch: all pixels but one in a
        hundred, since a resized gray level that lies between two may fall to either, and a steep
        network shows it; and the mean.
    python_mean: The file against `Segmenter.mask`, whose resize kernels are others.
    """

    graph_p99: float
    graph_mean: float
    python_mean: float


# A level of rounding at full precision; half has 11 bits, int8 a scale for each channel.
TOLERANCES: dict[str, Tolerance] = {
    "fp32": Tolerance(2, 0.1, 1),
    "fp16": Tolerance(8, 1, 2),
    "int8": Tolerance(255, 8, 8),
}


class Difference(NamedTuple):
    """Between two maps, in the maps' unit: largest, 99th percentile, mean."""

    max: float
    p99: float
    mean: float


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """How far two maps are apart; other shapes and NaN are as far apart as can be."""
    if a.shape != b.shape:
        return Difference(*_FARTHEST)
    gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
    if not np.isfinite(gap).all():
        return Difference(*_FARTHEST)
    return Difference(float(gap.max()), float(np.percentile(gap, 99)), float(gap.mean()))


def gray_levels(logits: np.ndarray) -> np.ndarray:
    """Logits as gray levels of their sigmoid, unrounded; NaN stays NaN."""
    return 255 / (1 + np.exp(-logits.astype(np.float64).clip(-60, 60)))


def drawing(height: int, width: int, seed: int) -> np.ndarray:
    """An ellipse with a thin handle over a textured gradient, uint8 `(H, W, 3)`."""
    rng = np.random.default_rng(seed)
    colors = rng.random((3, 4, 3)).astype(np.float32) * 255
    gradient = cv2.resize(colors, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 12, gradient.shape)
    image = (gradient + noise).clip(0, 255).astype(np.uint8)
    center = (int(width * rng.uniform(0.4, 0.6)), int(height * rng.uniform(0.4, 0.6)))
    color = tuple(float(value) for value in rng.integers(0, 256, 3))
    cv2.ellipse(image, center, (width // 4, height // 5), 20, 0, 360, color, -1, cv2.LINE_AA)
    cv2.line(image, center, (width - width // 8, height // 8), color, 5, cv2.LINE_AA)
    return image
