"""New backgrounds behind the foreground of training samples, in front of any augmentation.

The foreground's own colors are estimated at soft edges (`src.processing.foreground`), so that none
of the old background is carried over. In front of plain colors a network cannot find the object by
what usually stands around it; BiRefNet's authors paint them for white objects on white (option
`background_color_synthesis`), with these chances. In front of images of a folder, mattes of a
hundred animals become training data of many places.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from src.datamodules.augmentation import A, Augmentation, Sample
from src.datamodules.file_kinds import is_image_name
from src.datamodules.images import ImageError, read_header, read_image
from src.datamodules.pairs import DataError
from src.errors import UserError
from src.paths import files_below
from src.processing.foreground import foreground_colors

# Of plain backgrounds: gray, near the object's own mean color, and any; and how near.
_GRAY, _NEAR = 0.4, 0.4
_REACH = 51  # levels of each channel: a fifth of them
_READERS = 16
# Of the stream of random numbers; others start from (seed, epoch, item) and 1, 2 or 3.
_STREAM = 4

Augment = Callable[[Mapping[str, np.ndarray], Sequence[int]], Mapping[str, np.ndarray]]


class NewBackground(A.ImageOnlyTransform):
    """Puts the foreground before a plain color, or before a part of an image.

    A sample without foreground stays as it is.

    Args:
        images: Files to draw from; empty: plain colors, gray in 40 % of the cases, in 40 % within
            a fifth of the object's mean color in each channel, else any.
        p: Probability.
    """

    def __init__(self, images: list[Path], p: float) -> None:
        super().__init__(p=p)
        self.images = images

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        if not data["mask"].any():
            return {"alpha": None, "background": None}
        alpha = data["mask"].astype(np.float32) / 255
        size = (alpha.shape[0], alpha.shape[1])
        background = self._part(size) if self.images else self._color(data["image"], alpha)
        return {"alpha": alpha, "background": background}

    def apply(
        self,
        img: np.ndarray,
        alpha: np.ndarray | None,
        background: np.ndarray | None,
        **params: Any,
    ) -> np.ndarray:
        if alpha is None or background is None:
            return img
        foreground = foreground_colors(img.astype(np.float32) / 255, alpha)
        mixed = foreground * alpha[..., None] + background * (1 - alpha[..., None])
        return (mixed * 255 + 0.5).astype(np.uint8)

    def _color(self, image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Float32 `(3,)` in [0, 1]."""
        draw, levels = self.py_random.random(), [self.py_random.random() for _ in range(3)]
        if draw < _GRAY:
            return np.full(3, levels[0], np.float32)
        color = np.array(levels, np.float32)
        if draw < _GRAY + _NEAR:
            mean = (image * alpha[..., None]).sum(axis=(0, 1)) / alpha.sum()
            color = (mean + _REACH * (2 * color - 1)).clip(0, 255) / 255
        return color.astype(np.float32)

    def _part(self, size: tuple[int, int]) -> np.ndarray:
        """A part of a drawn image that covers the sample, float32 `(h, w, 3)` in [0, 1]."""
        path = self.images[self.py_random.randrange(len(self.images))]
        image = read_image(path, at_least=size)
        scale = max(size[0] / image.shape[0], size[1] / image.shape[1])
        width, height = (
            max(side, round(scale * own))
            for side, own in zip(size[::-1], image.shape[1::-1], strict=True)
        )
        kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=kernel)
        top = self.py_random.randint(0, height - size[0])
        left = self.py_random.randint(0, width - size[1])
        part = image[top : top + size[0], left : left + size[1]]
        return np.asarray(part, np.float32) / 255


class NewBackgrounds:
    """An augmentation that puts some samples before new backgrounds, then does what another does.

    Args:
        augment: The other one, whose random numbers stay what they are; None does nothing.
        share: Of the samples that get a new background.
        images: What they are drawn from; empty: plain colors.
    """

    def __init__(self, augment: Augment | None, share: float, images: Sequence[Path] = ()) -> None:
        self.augment, self.images = augment, list(images)
        self.replace = Augmentation([NewBackground(self.images, p=share)])

    def __call__(self, sample: Mapping[str, np.ndarray], seed: Sequence[int]) -> Sample:
        """As `Augmentation`: `mask` is how much of each pixel is foreground."""
        replaced = self.replace(sample, (*seed, _STREAM))
        return replaced if self.augment is None else dict(self.augment(replaced, seed))


def background_images(folder: str | Path) -> list[Path]:
    """The images below a folder, in the order of their names; each header is read.

    Raises:
        UserError: No such folder, or no image in it.
        DataError: Files that are no images, all of them.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"backgrounds.images: no folder {root}")
    found = [path for path in files_below(root) if is_image_name(path)]
    if not found:
        raise UserError(f"backgrounds.images: {root} holds no images")
    with ThreadPoolExecutor(_READERS) as readers:
        faults = [fault for fault in readers.map(_fault, found) if fault]
    if faults:
        raise DataError("backgrounds.images", faults)
    return found


def _fault(path: Path) -> str | None:
    try:
        read_header(path)
    except ImageError as error:
        return str(error)
    return None
