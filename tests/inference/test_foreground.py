"""The colors behind soft edges."""

import cv2
import numpy as np

from src.inference.outputs import foreground_colors


def scene(height: int = 200, width: int = 260) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, alpha and true foreground: a soft warm disc on a varied cold ground."""
    rng = np.random.default_rng(0)

    def field(base: tuple[float, float, float]) -> np.ndarray:
        noise = rng.random((5, 5, 3)).astype(np.float32) * 0.3
        return cv2.resize(noise + np.array(base, np.float32), (width, height)).clip(0, 1)

    foreground, background = field((0.7, 0.2, 0.1)), field((0.0, 0.5, 0.7))
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    alpha = (1 / (1 + np.exp((distance - 60) / 4))).astype(np.float32)
    alpha = np.where(alpha < 0.01, 0, np.where(alpha > 0.99, 1, alpha)).astype(np.float32)
    weight = alpha[..., None]
    return weight * foreground + (1 - weight) * background, alpha, foreground


def test_halo_is_gone() -> None:
    image, alpha, target = scene()
    soft = (alpha > 0.05) & (alpha < 0.95)
    found = foreground_colors(image, alpha)
    assert np.abs(found - target)[soft].mean() < 0.25 * np.abs(image - target)[soft].mean()


def test_solid_colours_are_kept() -> None:
    image, alpha, _ = scene()
    assert np.abs(foreground_colors(image, alpha) - image)[alpha == 1].max() < 1e-6


def test_empty_full_and_tiny_masks() -> None:
    image = np.full((3, 2, 3), 0.25, np.float32)
    for value in (0.0, 1.0):
        found = foreground_colors(image, np.full((3, 2), value, np.float32))
        assert np.isfinite(found).all()
