"""The colours of the foreground behind a soft edge, so that a cut-out has no halo.

Blur fusion (Forte, "Approximate fast foreground colour estimation", ICIP 2021), in two rounds.
"""

import cv2
import numpy as np

_COARSE, _FINE = 90, 6  # pixels: the first fills what is covered, the second sharpens (paper's)
_SHRINK = 4  # the coarse round needs no more resolution
_SMALL = 1e-5


def foreground_colours(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Estimate F of `image = alpha·F + (1 - alpha)·B`.

    Args:
        image: float32 `(H, W, 3)` in [0, 1].
        alpha: float32 `(H, W)` in [0, 1].

    Returns:
        float32 `(H, W, 3)` in [0, 1], equal to the image where alpha is 1.
    """
    size = (alpha.shape[1], alpha.shape[0])
    small = (max(1, size[0] // _SHRINK), max(1, size[1] // _SHRINK))
    little, little_alpha = (
        cv2.resize(values, small, interpolation=cv2.INTER_AREA) for values in (image, alpha)
    )
    sides = _round(little, little, little, little_alpha[..., None], _COARSE // _SHRINK)
    foreground, background = (cv2.resize(side, size) for side in sides)
    return _round(image, foreground, background, alpha[..., None], _FINE)[0]


def _round(
    image: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    alpha: np.ndarray,
    radius: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Blurred colours of either side, then the foreground corrected to explain the image."""
    blurred_f = weighted_blur(foreground, alpha, radius)
    blurred_b = weighted_blur(background, 1 - alpha, radius)
    explained = alpha * blurred_f + (1 - alpha) * blurred_b
    return np.clip(blurred_f + alpha * (image - explained), 0, 1), blurred_b


def weighted_blur(image: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    """Mean of the colours within a square of `2·radius + 1` pixels, by weight `(H, W, 1)`."""
    size = (2 * radius + 1, 2 * radius + 1)
    total = cv2.blur(weight, size)[..., None]
    return cv2.blur(image * weight, size) / (total + _SMALL)
