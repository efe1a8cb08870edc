"""Tiny networks that are guided by clicks, and one object in an image."""

import numpy as np
import torch
from torch import Tensor, nn

from src.datamodules.clicks import ExtremePoints, InsideOutsidePoints, Prompts
from src.datamodules.instance_sources import Instance
from src.inference import Segmenter
from src.networks.network import Network, Output
from src.processing import Processor

SIZE = 96
RELAX = 20
NONE = {"scale": "none", "mean": (0, 0, 0), "std": (1, 1, 1)}
DEXTR = (Processor(SIZE, paste_relax=RELAX, **NONE), ExtremePoints(relax=RELAX))  # type: ignore[arg-type]
IOG = (Processor(SIZE, **NONE), InsideOutsidePoints(relax=RELAX))  # type: ignore[arg-type]


class Guided(Network):
    """Logits that hang on every channel of image and prompt."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3 + maps, 1, 3, padding=1)
        with torch.no_grad():
            self.conv.weight *= 0.03

    def forward(self, x: Tensor) -> Output:
        return Output([self.conv(x)], {})


class Refining(Guided):
    """As IOG's refinement: the first clicks are encoded, all clicks are decoded."""

    def __init__(self) -> None:
        super().__init__(maps=2)
        self.encoded = 0
        self.seen: list[Tensor] = []  # what `decode` was given

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        self.encoded += 1
        return {"layer4": self.conv(x)}

    def decode(self, features: dict[str, Tensor], points: Tensor) -> Output:
        self.seen.append(points)
        return Output([features["layer4"] + (points[:, :1] - points[:, 1:]) / 32], {})

    def forward(self, x: Tensor) -> Output:
        return self.decode(self.encode(x), x[:, 3:])


def segmenter(network: nn.Module, paper: tuple[Processor, Prompts]) -> Segmenter:
    processor, prompts = paper
    return Segmenter(
        network, processor, inputs=("image", "prompt"), prompts=prompts, name="tiny", device="cpu"
    )


class OneObject:
    """An ellipse whose tight box has `side` pixels, near the image's left border."""

    sets = ("one",)

    def __init__(self, side: int = SIZE - 2 * RELAX) -> None:
        self.side = side

    @property
    def names(self) -> list[str]:
        return ["ellipse"]

    def __len__(self) -> int:
        return 1

    def sample(self, item: int) -> Instance:
        y, x = np.mgrid[:120, :150]
        radius = self.side / 2
        mask = np.hypot(x - 9.5 - radius, y - 40.5 - radius) <= radius + 0.2
        noise = np.random.default_rng(1).integers(0, 80, (*mask.shape, 3))
        image = (noise + 150 * mask[..., None]).astype(np.uint8)
        binary = mask.astype(np.uint8) * np.uint8(255)
        return Instance(image, binary, np.zeros_like(binary), "ellipse", 1)
