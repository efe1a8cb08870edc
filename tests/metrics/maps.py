"""Small maps that break metrics: at borders, constant, one pixel wide, of odd widths, noisy."""

from collections.abc import Iterator

import cv2
import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


def random_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise or blobs of a random scale that cover a random share; sometimes all or nothing."""
    if rng.random() < 0.05:
        return np.full((height, width), rng.random() < 0.5)
    if rng.random() < 0.1:
        return rng.random((height, width)) < 3 / (height * width)
    field = rng.random((height, width), np.float32)
    if rng.random() < 0.75:
        field = cv2.GaussianBlur(field, (0, 0), 0.3 + 12 * rng.random())
    return field > np.quantile(field, rng.random())


def random_pair(rng: np.random.Generator, largest: int = 150) -> Pair:
    """A prediction related to its target, or not, and the target; uint8, cut at 128."""
    height, width = rng.integers(1, rng.choice([12, largest]), 2)
    target = random_mask(rng, height, width)
    kind = rng.integers(4)
    if kind == 0:
        mask = random_mask(rng, height, width)
    elif kind == 1:
        mask = target ^ (random_mask(rng, height, width) & random_mask(rng, height, width))
    else:
        mask = np.roll(target, rng.integers(-9, 10, 2), (0, 1)) | (
            random_mask(rng, height, width) & (kind == 2)
        )
    return gray(rng, mask), gray(rng, target)


def gray(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """Levels 129 to 255 where the mask is set, 0 to 128 elsewhere, the bounds more than others."""
    high = np.where(rng.random(mask.shape) < 0.3, 129, rng.integers(129, 256, mask.shape))
    low = np.where(rng.random(mask.shape) < 0.3, 128, rng.integers(0, 129, mask.shape))
    return np.where(mask, high, low).astype(np.uint8)


def random_pairs(seed: int, amount: int, largest: int = 150) -> Iterator[Pair]:
    rng = np.random.default_rng(seed)
    for _ in range(amount):
        yield random_pair(rng, largest)


def soft_pair(rng: np.random.Generator) -> Pair:
    """A pair whose prediction has soft edges, noise, or one level; the target is 0 and 255."""
    _, cut = random_pair(rng)
    target = np.where(cut > 128, 255, 0).astype(np.uint8)
    kind = rng.integers(4)
    if kind == 0:
        prediction = rng.integers(0, 256, target.shape)
    elif kind == 1:
        prediction = cv2.GaussianBlur(target, (0, 0), 0.2 + 5 * rng.random()).reshape(target.shape)
    elif kind == 2:
        shifted = np.roll(target, rng.integers(-9, 10, 2), (0, 1))
        prediction = np.clip(shifted + rng.normal(0, 60, target.shape), 0, 255)
    else:
        prediction = np.full(target.shape, rng.integers(256))
    return prediction.astype(np.uint8), target
