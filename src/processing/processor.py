"""How an image becomes a network's input, and how its logits become a mask of the image's size."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from src.errors import UserError
from src.processing.crop import Box, paste_back
from src.processing.resize import KERNELS, Kernel, resize
from src.processing.steps import STEPS, STRETCH, stretched

STRIDE = 32
Levels = tuple[float, float]  # the lowest and the highest value of a map
Scale = Literal["255", "per_image_max", "none"]
LARGEST_SIDE = 8192  # of a network's input; a larger one takes more memory than there is


def dynamic_size(width: int, height: int, limit: int, stride: int = STRIDE) -> tuple[int, int]:
    """Width and height to feed: the short side at most `limit`, both sides divisible by `stride`.

    Sides are rounded as the authors' are, halves to the even multiple (80 to 64, 112 to 128). A
    side of half a stride or less, which theirs turns into nothing, becomes one stride.

    Args:
        width: Of the original image.
        height: Of the original image.
        limit: Images with a longer short side are scaled down to it, keeping their shape.
        stride: Divides both sides.

    Raises:
        ValueError: A side or the limit is not positive.
    """
    if min(width, height, limit) < 1:
        raise ValueError(f"{width}×{height} with a limit of {limit}: all must be at least 1")
    scale = min(1.0, limit / min(width, height))
    return _to_multiple(width * scale, stride), _to_multiple(height * scale, stride)


def _to_multiple(side: float, stride: int) -> int:
    return max(1, round(side / stride)) * stride


class NonFiniteError(UserError):
    """The network's answer holds NaN or infinity."""


@dataclass(frozen=True)
class Processor:
    """A model's pre- and post-processing; saved in its checkpoints and exports.

    Args:
        size: Height and width of the network's input.
        image_kernel: How images are resized to `size`, see `resize.py`.
        mask_kernel: How training masks are resized to `size`.
        scale: What divides the 8-bit image before mean and std: `255`, `per_image_max` (U²-Net), or
            nothing (DEXTR and IOG see 0..255).
        mean: Subtracted per channel, after scaling.
        std: Divides per channel.
        restore_steps: Names of the steps from logits to the mask, in order, see `steps.py`.
        paste_relax: Width of the crop's rim that is not pasted back, in pixels of the image.
    """

    size: tuple[int, int]
    image_kernel: Kernel = "opencv"
    mask_kernel: Kernel = "opencv"
    scale: Scale = "255"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    restore_steps: tuple[str, ...] = ("sigmoid", "resize")
    paste_relax: int = 0

    def __post_init__(self) -> None:
        size: Any = self.size
        pair = (size, size) if isinstance(size, int) else tuple(size)
        if len(pair) != 2 or not all(_is_count(side) and side > 0 for side in pair):
            raise ValueError(
                f"model.size is {size!r}; give one side, or [height, width], as positive integers"
            )
        if max(pair) > LARGEST_SIDE:
            raise ValueError(f"model.size is {size!r}; a side has up to {LARGEST_SIDE} pixels")
        # Configs bring lists; a value object holds tuples.
        object.__setattr__(self, "size", pair)
        for field in ("mean", "std", "restore_steps"):
            given: Any = getattr(self, field)
            if not isinstance(given, Sequence) or isinstance(given, str):
                raise ValueError(f"processor.{field} is {given!r}, not a list")
            object.__setattr__(self, field, tuple(given))
        for field in ("mean", "std"):
            values = getattr(self, field)
            if len(values) not in (1, 3) or not all(_is_finite(value) for value in values):
                raise ValueError(f"processor.{field} is {values!r}; give three numbers")
        if min(self.std) <= 0:
            raise ValueError(f"processor.std is {self.std!r}; it divides, so it is above 0")
        if not _is_count(self.paste_relax) or not 0 <= self.paste_relax <= LARGEST_SIDE:
            raise ValueError(
                f"processor.paste_relax is {self.paste_relax!r}, not a count of pixels"
            )
        for field, known in (
            ("image_kernel", KERNELS),
            ("mask_kernel", KERNELS),
            ("scale", ("255", "per_image_max", "none")),
        ):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"processor.{field} is {getattr(self, field)!r}; choose of {known}"
                )
        if unknown := [name for name in self.restore_steps if name not in list(STEPS)]:
            raise ValueError(f"processor.restore_steps has unknown {unknown}; known: {list(STEPS)}")

    def at(self, size: tuple[int, int] | None) -> "Processor":
        """The same with another size, (height, width); None: itself."""
        return self if size in (None, self.size) else replace(self, size=size)

    def unstretched(self) -> "Processor":
        """The same without min-max over the image, which would change what a matte's gray means."""
        return replace(self, restore_steps=tuple(s for s in self.restore_steps if s != "min_max"))

    def resize_image(self, image: np.ndarray) -> np.ndarray:
        """Bring a uint8 `(H, W, 3)` image to the network's size."""
        return resize(image, self.size, self.image_kernel)

    def resize_mask(self, mask: np.ndarray) -> np.ndarray:
        """Bring a uint8 `(H, W)` mask to the network's size."""
        return resize(mask, self.size, self.mask_kernel)

    def normalize(self, image: Tensor, maximum: float | None = None) -> Tensor:
        """Turn a uint8 batch `(B, 3, H, W)` into the floats the network expects.

        Args:
            maximum: With `per_image_max`, that of the image which these are parts of; None where
                each is an image of its own.
        """
        values = image.float()
        if self.scale == "255":
            values = values / 255
        elif self.scale == "per_image_max":
            # A black image has no maximum to divide by and stays black.
            own = values.amax(dim=(1, 2, 3), keepdim=True)
            values = values / (own if maximum is None else own.new_tensor(maximum)).clamp(min=1)
        mean = torch.tensor(self.mean, device=values.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=values.device).view(1, -1, 1, 1)
        return (values - mean) / std

    def postprocess(
        self, logits: Tensor, size: Sequence[int], levels: Levels | None = None
    ) -> Tensor:
        """Turn one map of logits, `(h, w)`, into a uint8 mask of the original `size` (H, W).

        Args:
            levels: Of the image that this is a part of; None where it is an image of its own.

        Raises:
            NonFiniteError: The network answered NaN or infinity.
        """
        values, target = _finite(logits.float()), (int(size[0]), int(size[1]))
        for name in self.restore_steps:
            if name == STRETCH and levels is not None:
                values = stretched(values, *levels)
            else:
                values = STEPS[name](values, target)
        return _quantized(values)

    def levels(self, logits: Tensor, size: Sequence[int]) -> Levels | None:
        """Between which values `postprocess` stretches a map; None where the model does not.

        A part of an image has to be stretched as the image is: where nothing is, there is no
        foreground whose value could become 1.

        Raises:
            NonFiniteError: The network answered NaN or infinity.
        """
        if STRETCH not in self.restore_steps:
            return None
        values, target = _finite(logits.float()), (int(size[0]), int(size[1]))
        for name in self.restore_steps[: self.restore_steps.index(STRETCH)]:
            values = STEPS[name](values, target)
        return float(values.min()), float(values.max())

    def postprocess_crop(self, logits: Tensor, box: Box, size: Sequence[int]) -> Tensor:
        """Turn the logits `(h, w)` of a crop into a uint8 mask of the whole image's `size`.

        Raises:
            NonFiniteError: The network answered NaN or infinity.
        """
        return _quantized(torch.from_numpy(self.probabilities_of_crop(logits, box, size)))

    def probabilities_of_crop(self, logits: Tensor, box: Box, size: Sequence[int]) -> np.ndarray:
        """As `postprocess_crop`, float32 before it is rounded to 8 bit, around [0, 1]."""
        crop = _finite(logits.float()).sigmoid().cpu().numpy()
        return paste_back(crop, box, (int(size[0]), int(size[1])), self.paste_relax)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and exports; `Processor(**values)` reads them."""
        return asdict(self)


def _finite(logits: Tensor) -> Tensor:
    """Logits as they are: 8 bits know no NaN and would make black of it."""
    if not bool(torch.isfinite(logits).all()):
        raise NonFiniteError(
            "the network's answer is not finite (NaN or infinity), so that there is no mask; try "
            "precision=fp32 (of a run trainer.precision=32-true), or another checkpoint"
        )
    return logits


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _quantized(values: Tensor) -> Tensor:
    # The small offset keeps exact levels (k/255) from falling to k-1 in fp32.
    return (values * 255 + 1e-4).clamp(0, 255).to(torch.uint8)
