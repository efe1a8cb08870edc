"""What every data module yields, and how single samples are joined into it."""

from typing import Any, Literal, NamedTuple, TypedDict

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate
from typing_extensions import NotRequired

InputKey = Literal["image", "mask", "prompt"]

# Maps whose sizes differ from image to image stay lists; everything else is stacked.
LISTED_KEYS = ("mask_full", "void_full", "start_mask_full")


class SampleKey(NamedTuple):
    """What a training sampler hands to a data set: which item, and in which epoch.

    The epoch seeds the augmentation together with the item, so that a sample depends neither on
    the worker that makes it nor on what was drawn before it.

    size: Height and width of the batch's images where each batch has its own, see
        `src.settings.multiscale`; None: the processor's.
    """

    item: int
    epoch: int
    size: tuple[int, int] | None = None


class Batch(TypedDict):
    """One batch of images with their foreground masks, 8 bit until it reaches the device.

    `image`, `mask` and `void` are uint8 in 0..255 as the workers ship them; the LightningModule
    turns them into floats (`image` normalized by the model's processor, the others in [0, 1]).
    """

    index: Tensor  # (B,) int64, position of the image in its data set
    name: list[str]
    image: Tensor  # (B, 3, H, W)
    mask: Tensor  # (B, 1, H, W)
    prompt: NotRequired[Tensor]  # (B, K, H, W) click heat maps in 0..255
    image_uint8: NotRequired[
        Tensor
    ]  # (B, 3, H, W) `image` as it was before normalization, for display
    void: NotRequired[Tensor]  # (B, 1, H, W), 255 where a pixel does not count
    mask_full: NotRequired[list[Tensor]]  # (h, w) uint8 targets at full size, in evaluation
    void_full: NotRequired[list[Tensor]]  # (h, w) uint8, beside `mask_full`
    start_mask_full: NotRequired[list[Tensor]]  # (h, w) uint8, where clicks correct a first mask
    category: NotRequired[Tensor]  # (B,) int64, of the object, in evaluation of instances
    box: NotRequired[Tensor]  # (B, 4) int64 crop as x_min, y_min, x_max, y_max (inclusive)


def planes(image: np.ndarray) -> Tensor:
    """A uint8 image (H, W, 3) as a tensor (3, H, W), contiguous.

    OpenCV's split is seven times as fast as a transposed copy.
    """
    channels = np.empty((3, *image.shape[:2]), dtype=np.uint8)
    cv2.split(image, list(channels))
    return torch.from_numpy(channels)


def collate(samples: list[dict[str, Any]]) -> Batch:
    """Stack what has one size; keep full-size maps, whose sizes differ, as lists."""
    listed = {
        key: [torch.as_tensor(sample[key]) for sample in samples]
        for key in LISTED_KEYS
        if key in samples[0]
    }
    stacked = [{k: v for k, v in sample.items() if k not in LISTED_KEYS} for sample in samples]
    batch = default_collate(stacked)
    batch.update(listed)
    return batch
