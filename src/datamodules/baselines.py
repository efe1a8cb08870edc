"""Masks without learning: what a trained network has to beat, with clicks and without."""

from typing import Any

import cv2
import numpy as np
from torch.utils.data import Dataset

from src.errors import UserError
from src.geometry.crop import Box


def otsu_map(image: np.ndarray) -> np.ndarray:
    """Threshold the brightness (Otsu 1979); the side that fills less of the border is foreground.

    Args:
        image: uint8 RGB `(H, W, 3)`.

    Returns:
        uint8 `(H, W)`, 0 or 255.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    _, bright = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.concatenate([bright[0], bright[-1], bright[1:-1, 0], bright[1:-1, -1]])
    return 255 - bright if border.mean() > 127.5 else bright


def mean_mask(dataset: Dataset[Any], size: tuple[int, int], count: int | None = None) -> np.ndarray:
    """Average the masks of a data set's samples: the best guess without seeing the image.

    Args:
        dataset: Answers `dataset[int]` with a uint8 `mask` (1, h, w).
        size: Height and width of the result.
        count: Use the first `count` samples; None for all.

    Returns:
        float64 `size`, in [0, 1].

    Raises:
        UserError: There is no sample to average.
    """
    length = len(dataset)  # type: ignore[arg-type]
    used = length if count is None else min(count, length)
    if used < 1:
        raise UserError(f"mean_mask: no samples to average (count {count}, data set of {length})")
    total = np.zeros(size)
    for item in range(used):
        mask = np.asarray(dataset[item]["mask"])[0]
        total += cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return total / (255 * used)


def grabcut_map(image: np.ndarray, box: Box, iterations: int = 5) -> np.ndarray:
    """GrabCut (Rother et al. 2004), told that the object lies in `box` and nowhere else.

    Args:
        image: uint8 RGB `(H, W, 3)`; what lies outside of `box` teaches it the background.
        box: Inside the image. A box that leaves no background is the answer itself.
        iterations: Of fitting colours and cutting.

    Returns:
        uint8 `(H, W)`, 0 or 255.
    """
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    labels[box.slices] = cv2.GC_PR_FGD
    if (labels == cv2.GC_BGD).any():
        cv2.setRNGSeed(0)  # its k-means draws from OpenCV's generator, and a table must repeat
        unused, models = (0, 0, 1, 1), np.zeros((2, 1, 65))
        cv2.grabCut(image, labels, unused, models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * np.uint8(255)


def box_map(size: tuple[int, int], box: Box) -> np.ndarray:
    """A filled box in an image of `size` (height, width), uint8, 0 or 255."""
    filled = np.zeros(size, np.uint8)
    filled[box.slices] = 255
    return filled
