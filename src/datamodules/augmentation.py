"""Augmentation, one named pipeline per paper; image, mask, void and points move together.

A pipeline works on samples that the model's processor has already resized, as each paper does, and
is a function of the sample and a seed alone.
"""

import os
import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import cv2
import numpy as np

# albumentations asks the network for a newer version on import, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
from albumentations.core.type_definitions import Targets
from annotated_types import Gt, Le

Sample = dict[str, np.ndarray]


class Augmentation:
    """A pipeline of albumentations' transforms whose randomness is given with each call.

    Args:
        transforms: Applied in order.
    """

    def __init__(self, transforms: Sequence[A.BasicTransform | A.BaseCompose]) -> None:
        # strict: an argument that a transform does not know is a mistake, not a warning.
        # The last one does nothing, but lets a pipeline of color changes alone carry points.
        self.compose = A.Compose(
            [*transforms, A.NoOp()],
            additional_targets={"void": "mask"},
            keypoint_params=A.KeypointParams("xy", remove_invisible=False),
            strict=True,
        )

    def __call__(self, sample: Mapping[str, np.ndarray], seed: Sequence[int]) -> Sample:
        """Augment uint8 `image` (H, W, 3), `mask` (H, W) and, where present, `void` (H, W).

        Args:
            sample: The maps, and optionally `points`, floats (N, 2) as x, y. Points that leave
                the image stay in the list, outside of it.
            seed: What the result depends on besides the sample: (seed, epoch, item).
        """
        generator = np.random.default_rng(list(seed))
        # One stream for all transforms. Compose's own seeding hands each transform the same
        # seed, and two flips of probability 1/2 would always coincide.
        self.compose.set_random_state(generator, random.Random(int(generator.integers(2**63))))
        given: dict[str, Any] = dict(sample)
        given["keypoints"] = given.pop("points", np.empty((0, 2), dtype=np.float32))
        moved = self.compose(**given)
        points = moved.pop("keypoints")
        if "points" in sample:
            moved["points"] = np.asarray(points, dtype=np.float32).reshape(-1, 2)
        return moved


def isnet() -> Augmentation:
    """IS-Net: horizontal flip."""
    return Augmentation([A.HorizontalFlip(p=0.5)])


def u2net(fraction: Annotated[float, Gt(0), Le(1)] = 0.9) -> Augmentation:
    """U²-Net: a random crop of `fraction` of the resized sample's sides (288 of 320) and flips.

    The authors' flip is the vertical one; horizontal flips are in their training list as copies
    (21 106 files of 10 553 images), which is a flip of probability 1/2 here.
    """
    return Augmentation([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), FractionCrop(fraction)])


def inspyrenet() -> Augmentation:
    """InSPyReNet: scale and crop, horizontal flip, small rotation, slight enhancement."""
    return Augmentation(
        [
            ScaleCrop(low=0.75, high=1.25, p=0.5),
            A.HorizontalFlip(p=0.5),
            A.Rotate(
                limit=(-10, 10),
                border_mode=cv2.BORDER_CONSTANT,
                mask_interpolation=cv2.INTER_LINEAR,
                p=0.5,
            ),
            Enhance(
                dict.fromkeys(("contrast", "sharpness", "brightness"), (1, 1.1)), shuffled=True
            ),
        ]
    )


def birefnet() -> Augmentation:
    """BiRefNet: horizontal flip, seldom a rotation, strong enhancement, some black and white."""
    return Augmentation(
        [
            A.HorizontalFlip(p=0.5),
            A.Rotate(
                limit=(-15, 15),
                border_mode=cv2.BORDER_CONSTANT,
                interpolation=cv2.INTER_CUBIC,
                mask_interpolation=cv2.INTER_CUBIC,
                p=0.2,
            ),
            Enhance(
                {
                    "brightness": (0.5, 1.5),
                    "contrast": (0.5, 1.5),
                    "color": (0, 2),
                    "sharpness": (0, 3),
                },
                tenths=True,
            ),
            Pepper(share=0.0015),
        ]
    )


class FractionCrop(A.RandomCrop):
    """A random crop whose sides are a fraction of the sample's, whatever that one's size.

    Args:
        fraction: Of the sides, above 0 and at most 1.
    """

    def __init__(self, fraction: float) -> None:
        super().__init__(height=1, width=1)
        self.fraction = fraction

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        height, width = params["shape"][:2]
        self.height, self.width = (max(1, round(self.fraction * side)) for side in (height, width))
        found: dict[str, Any] = super().get_params_dependent_on_data(params, data)
        return found


class ScaleCrop(A.DualTransform):
    """Scales by a random factor and keeps the size: a random crop, or a random place on black.

    Args:
        low: Smallest factor.
        high: Largest factor.
        p: Probability.
    """

    _targets = (Targets.IMAGE, Targets.MASK, Targets.KEYPOINTS)

    def __init__(self, low: float = 0.75, high: float = 1.25, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.low, self.high = low, high

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        height, width = params["shape"][:2]
        factor = self.py_random.uniform(self.low, self.high)
        # Positive where the scaled image is placed inside, negative where it is cropped.
        left = self.py_random.random() * (1 - factor) * width
        top = self.py_random.random() * (1 - factor) * height
        return {"factor": factor, "left": left, "top": top}

    def apply(
        self, img: np.ndarray, factor: float, left: float, top: float, **params: Any
    ) -> np.ndarray:
        # Half-pixel centers, as everywhere: pixel i covers [i, i + 1).
        shift = (factor - 1) / 2
        matrix = np.array([[factor, 0, left + shift], [0, factor, top + shift]])
        return cv2.warpAffine(img, matrix, (img.shape[1], img.shape[0]), flags=cv2.INTER_LINEAR)

    def apply_to_keypoints(
        self, keypoints: np.ndarray, factor: float, left: float, top: float, **params: Any
    ) -> np.ndarray:
        moved = keypoints.copy()
        shift = (factor - 1) / 2
        moved[:, 0] = keypoints[:, 0] * factor + left + shift
        moved[:, 1] = keypoints[:, 1] * factor + top + shift
        return moved


class Enhance(A.ImageOnlyTransform):
    """Changes brightness, contrast, color and sharpness by random factors.

    A factor f moves the image to `blank + f * (image - blank)`, where `blank` is black
    (brightness), its mean gray (contrast), its gray (color), or the image smoothed (sharpness).

    Args:
        ranges: Lowest and highest factor by name; no other names are changed.
        shuffled: In random order instead of the order of `ranges`.
        tenths: Factors are whole tenths.
        p: Probability.
    """

    def __init__(
        self,
        ranges: Mapping[str, tuple[float, float]],
        shuffled: bool = False,
        tenths: bool = False,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.ranges, self.shuffled, self.tenths = dict(ranges), shuffled, tenths

    def get_params(self) -> dict[str, Any]:
        order = list(self.ranges)
        if self.shuffled:
            self.py_random.shuffle(order)
        return {"steps": [(name, self._factor(*self.ranges[name])) for name in order]}

    def _factor(self, low: float, high: float) -> float:
        if self.tenths:
            return self.py_random.randint(round(10 * low), round(10 * high)) / 10
        return self.py_random.uniform(low, high)

    def apply(self, img: np.ndarray, steps: list[tuple[str, float]], **params: Any) -> np.ndarray:
        for name, factor in steps:
            if name == "sharpness":
                img = cv2.addWeighted(img, factor, cv2.filter2D(img, -1, _SMOOTH), 1 - factor, 0)
            elif name == "color":
                gray = cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
                img = cv2.addWeighted(img, factor, gray, 1 - factor, 0)
            else:
                blank = _mean_gray(img) if name == "contrast" else 0.0
                levels = blank + factor * (np.arange(256) - blank)
                img = cv2.LUT(img, np.clip(np.rint(levels), 0, 255).astype(np.uint8))
        return img


class Pepper(A.ImageOnlyTransform):
    """Sets random pixels to black or white.

    Args:
        share: Of the pixels; the same pixel may be drawn twice.
        p: Probability.
    """

    def __init__(self, share: float = 0.0015, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.share = share

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        height, width = params["shape"][:2]
        count = int(self.share * height * width)
        generator = self.random_generator
        return {
            "rows": generator.integers(0, height, count),
            "columns": generator.integers(0, width, count),
            "levels": generator.integers(0, 2, count, dtype=np.uint8) * np.uint8(255),
        }

    def apply(
        self,
        img: np.ndarray,
        rows: np.ndarray,
        columns: np.ndarray,
        levels: np.ndarray,
        **params: Any,
    ) -> np.ndarray:
        img = img.copy()
        img[rows, columns] = levels[:, None]
        return img


_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13


def _mean_gray(image: np.ndarray) -> float:
    red, green, blue = cv2.mean(image)[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue
