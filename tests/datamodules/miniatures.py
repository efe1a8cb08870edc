"""Writes miniature data sets as files, so that the real loaders are under test."""

from pathlib import Path

import cv2
import numpy as np


def image_file(seed: int, height: int = 36, width: int = 48) -> np.ndarray:
    """A smooth colored image, uint8 RGB."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def disc(seed: int, height: int = 36, width: int = 48) -> np.ndarray:
    """A white disc somewhere on black, uint8."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=np.uint8)
    center = (int(rng.integers(12, width - 12)), int(rng.integers(12, height - 12)))
    return cv2.circle(mask, center, int(rng.integers(6, 11)), 255, -1)


def write_pair(images: Path, masks: Path, stem: str, seed: int, extension: str = ".jpg") -> None:
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    height, width = 36 + seed % 3, 48 + seed % 5
    cv2.imwrite(str(images / f"{stem}{extension}"), image_file(seed, height, width)[..., ::-1])
    cv2.imwrite(str(masks / f"{stem}.png"), disc(seed, height, width))


def write_set(
    images: Path,
    masks: Path,
    count: int,
    seed: int = 0,
    extension: str = ".jpg",
    prefix: str = "img_",
) -> None:
    for i in range(count):
        write_pair(images, masks, f"{prefix}{i:03d}", seed + i, extension)
