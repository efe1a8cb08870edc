"""InSPyReNet's two resolutions in one mask."""

import numpy as np
import pytest
import torch
from torch import Tensor

from src.inference import Segmenter
from src.networks.inspyrenet import InSPyReNet
from src.networks.network import Output
from src.processing import Processor
from tests.inference.tiny import RedFinder, red_on_blue

PROCESSOR = Processor((64, 64), image_kernel="pillow", restore_steps=("sigmoid", "resize_corners"))


class TwoSizes(RedFinder):
    """Keeps the sizes it was asked for."""

    def forward_blended(self, image: Tensor, image_lr: Tensor) -> Output:
        self.seen = (tuple(image.shape[2:]), tuple(image_lr.shape[2:]))
        return self(image)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((600, 800), ((608, 800), (64, 64))), ((1500, 2000), ((1280, 1696), (64, 64)))],
)
def test_large_pictures_are_seen_twice(
    size: tuple[int, int], expected: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    network = TwoSizes()
    image, target = red_on_blue(*size)
    mask = Segmenter(network, PROCESSOR, device="cpu").mask(image, detail="blended")
    assert network.seen == expected
    assert np.abs(mask.astype(int) - target).mean() < 3


def test_pictures_with_a_small_side_are_seen_once() -> None:
    network = TwoSizes()
    Segmenter(network, PROCESSOR, device="cpu").mask(red_on_blue(512, 900)[0], detail="blended")
    assert not hasattr(network, "seen")


def test_inspyrenet_blends() -> None:
    torch.manual_seed(0)
    network = InSPyReNet("resnet18", depth=8, base_size=64)
    mask = Segmenter(network, PROCESSOR, device="cpu").mask(
        red_on_blue(520, 540)[0], detail="blended", flip=True
    )
    assert mask.shape == (520, 540)
