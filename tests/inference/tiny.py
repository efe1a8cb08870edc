"""A network that finds red things, and images that have one: masks are known without training."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from src.inference import Segmenter
from src.networks.network import Network, Output
from src.processing import Processor

PROCESSOR = Processor((64, 64), mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))


class RedFinder(Network):
    """Logits that grow with red minus blue."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 1, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([12.0, 0.0, -12.0]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Output:
        return Output([self.conv(x)], {})


def finder(processor: Processor = PROCESSOR, **arguments: object) -> Segmenter:
    return Segmenter(RedFinder(), processor, device="cpu", **arguments)  # type: ignore[arg-type]


def red_on_blue(height: int = 90, width: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """An image `(H, W, 3)` with a red rectangle left of its middle, and its mask."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 8 : width // 2] = 255
    image = np.where(mask[..., None] > 0, (230, 40, 20), (20, 60, 220)).astype(np.uint8)
    return image, mask


def save_picture(path: Path, height: int = 90, width: int = 120, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(red_on_blue(height, width)[0]).save(path, **options)  # type: ignore[arg-type]
    return path
