"""A network with its pre- and post-processing as one module that an exporter can follow.

`Processor` works on arrays with the kernels of OpenCV and Pillow; a graph has torch's `interpolate`
only. Bilinear without antialiasing differs from OpenCV by rounding, with antialiasing from Pillow
by rounding; `area` becomes the antialiased kernel. The parity report measures what that makes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.processing import Processor

Size = tuple[int, int]

_KERNELS: dict[str, tuple[str, bool]] = {  # torch's mode, antialiasing
    "opencv": ("bilinear", False),
    "opencv_cubic": ("bicubic", False),
    "pillow": ("bilinear", True),
    "area": ("bilinear", True),
    "opencv_nearest": ("nearest", False),
    "nearest": ("nearest-exact", False),
}


class BakedNetwork(nn.Module):
    """Maps a uint8 image `(H, W, 3)` in RGB to its uint8 mask `(H, W)`, whatever its size.

    Args:
        network: Maps `(1, 3, h, w)` to an `Output`; its dtype is kept.
        processor: The model's pre- and post-processing.
    """

    def __init__(self, network: nn.Module, processor: Processor) -> None:
        super().__init__()
        self.network, self.processor = network, processor
        self.dtype = next(network.parameters()).dtype

    def forward(self, image: Tensor) -> Tensor:
        size = (image.shape[0], image.shape[1])
        batch = image.permute(2, 0, 1)[None].float()
        mode, antialias = _KERNELS[self.processor.image_kernel]
        resized = F.interpolate(batch, self.processor.size, mode=mode, antialias=antialias)
        values = self.processor.normalize(resized.round().clamp(0, 255))
        logits = self.network(values.to(self.dtype)).masks[0].float()
        for name in self.processor.restore_steps:
            logits = STEPS[name](logits, size)
        return (logits[0, 0] * 255 + 1e-4).clamp(0, 255).to(torch.uint8)


class BareNetwork(nn.Module):
    """Maps a normalized batch `(B, C, h, w)` to its finest logits `(B, 1, h', w')`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.dtype = next(network.parameters()).dtype

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image.to(self.dtype)).masks[0].float()


def _sigmoid(values: Tensor, size: Size) -> Tensor:
    return values.sigmoid()


def _invert(values: Tensor, size: Size) -> Tensor:
    return 1 - values


def _min_max(values: Tensor, size: Size) -> Tensor:
    low, high = values.min(), values.max()
    span = high - low
    stretched = (values - low) / torch.where(span > 0, span, torch.ones_like(span))
    return torch.where(span > 0, stretched, values.clamp(0, 1))


def _resize(values: Tensor, size: Size) -> Tensor:
    return F.interpolate(values, size, mode="bilinear", align_corners=False)


def _resize_corners(values: Tensor, size: Size) -> Tensor:
    return F.interpolate(values, size, mode="bilinear", align_corners=True)


def _resize_8bit(values: Tensor, size: Size) -> Tensor:
    quantized = (values * 255).floor()
    return F.interpolate(quantized, size, mode="bilinear", antialias=True).round() / 255


# The steps of src/processing/steps.py without branches on values, on maps (1, 1, h, w).
STEPS: dict[str, Callable[[Tensor, Size], Tensor]] = {
    "sigmoid": _sigmoid,
    "invert": _invert,
    "min_max": _min_max,
    "resize": _resize,
    "resize_corners": _resize_corners,
    "resize_8bit": _resize_8bit,
}
