"""The pictures on which an exported file is compared with PyTorch."""

from pathlib import Path

import cv2
import numpy as np

from src.datamodules.images import read_image
from src.errors import UserError
from src.prediction.jobs import find_sources

_SIZES = ((480, 640), (333, 217), (768, 1024))


def pictures(folder: Path | None, count: int = 8) -> dict[str, np.ndarray]:
    """Up to `count` pictures `(H, W, 3)` of a folder by their path in it; without one, drawings.

    Raises:
        UserError: The folder has none.
    """
    if folder is None:
        return {f"drawing {h}×{w}": drawing(h, w, seed=i) for i, (h, w) in enumerate(_SIZES)}
    sources = [source for source in find_sources(folder) if not source.is_video][:count]
    if not sources:
        raise UserError(f"pictures={folder} has no picture to compare on")
    return {(s.name.parent / s.path.name).as_posix(): read_image(s.path) for s in sources}


def drawing(height: int, width: int, seed: int) -> np.ndarray:
    """An ellipse with a thin handle over a textured gradient, uint8 `(H, W, 3)`."""
    rng = np.random.default_rng(seed)
    colours = rng.random((3, 4, 3)).astype(np.float32) * 255
    gradient = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 12, gradient.shape)
    image = (gradient + noise).clip(0, 255).astype(np.uint8)
    centre = (int(width * rng.uniform(0.4, 0.6)), int(height * rng.uniform(0.4, 0.6)))
    colour = tuple(float(value) for value in rng.integers(0, 256, 3))
    cv2.ellipse(image, centre, (width // 4, height // 5), 20, 0, 360, colour, -1, cv2.LINE_AA)
    cv2.line(image, centre, (width - width // 8, height // 8), colour, 5, cv2.LINE_AA)
    return image
