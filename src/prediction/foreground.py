"""The colours of the foreground behind a soft edge, so that a cut-out has no halo.

Blur fusion (Forte, "Approximate fast foreground colour estimation", ICIP 2021), in two rounds.
"""

import cv2
import numpy as np

_COARSE, _FINE = 90, 6  # pixels: the first fills what is covered, the second sharpens (paper's)
_SHRINK = 4  # the coarse round needs no more resolution
_SMALL = 1e-5


def foreground_colours(
    image: np.ndarray, alpha: np.ndarray, opacity: np.ndarray | None = None
) -> np.ndarray:
    """Estimate F of `image = alpha·F + (1 - alpha)·B`.

    Args:
        image: float32 `(H, W, 3)` in [0, 1].
        alpha: float32 `(H, W)` in [0, 1].
        opacity: float32 `(H, W)` in [0, 1], how much of each pixel of the image is visible: what
            is not visible lends its colour to nothing. None where all is.

    Returns:
        float32 `(H, W, 3)` in [0, 1], equal to the image where alpha is 1.
    """
    size = (alpha.shape[1], alpha.shape[0])
    small = (max(1, size[0] // _SHRINK), max(1, size[1] // _SHRINK))
    little, little_alpha = (
        cv2.resize(values, small, interpolation=cv2.INTER_AREA) for values in (image, alpha)
    )
    weight, little_weight = None, None
    if opacity is not None:
        weight, premultiplied = opacity[..., None], image * opacity[..., None]
        little_weight = cv2.resize(opacity, small, interpolation=cv2.INTER_AREA)[..., None]
        little = cv2.resize(premultiplied, small, interpolation=cv2.INTER_AREA)
        little = little / np.maximum(little_weight, _SMALL)
    sides = _round(
        little, little, little, little_alpha[..., None], _COARSE // _SHRINK, little_weight
    )
    foreground, background = (cv2.resize(side, size) for side in sides)
    return _round(image, foreground, background, alpha[..., None], _FINE, weight)[0]


def _round(
    image: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    alpha: np.ndarray,
    radius: int,
    opacity: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Blurred colours of either side, then the foreground corrected to explain the image."""
    front, behind = alpha, 1 - alpha
    if opacity is not None:
        front, behind = front * opacity, behind * opacity
    blurred_f = weighted_blur(foreground, front, radius)
    blurred_b = weighted_blur(background, behind, radius)
    explained = alpha * blurred_f + (1 - alpha) * blurred_b
    return np.clip(blurred_f + alpha * (image - explained), 0, 1), blurred_b


def weighted_blur(image: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    """Mean of the colours within a square of `2·radius + 1` pixels, by weight `(H, W, 1)`."""
    size = (2 * radius + 1, 2 * radius + 1)
    total = cv2.blur(weight, size)[..., None]
    return cv2.blur(image * weight, size) / (total + _SMALL)
