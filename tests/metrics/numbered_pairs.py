"""Small maps of different sizes, the same in every process."""

import cv2
import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


def make_pair(seed: int) -> Pair:
    """A soft prediction and its target, uint8, of a size that depends on the seed."""
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(40, 70)), int(rng.integers(40, 90))
    coarse = rng.random((5, 6), np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(field + rng.normal(0, 0.1, field.shape), 0, 1)
    return (noisy * 255).astype(np.uint8), np.where(field > 0.55, 255, 0).astype(np.uint8)
