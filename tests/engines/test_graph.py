"""The processing that is baked into a file, against the processing of `Processor`."""

import numpy as np
import pytest
import torch

from src.engines.graph import STEPS, BakedNetwork
from src.inference.model_spec import named, names
from src.processing import Processor
from src.processing.resize import KERNELS
from src.processing.steps import STEPS as PYTHON_STEPS
from tests.inference.tiny import RedFinder, finder, red_on_blue

# BiRefNet's others differ in size alone, which is another one here.
MODELS = [m for m in names() if not m.startswith("birefnet_") and named(m).inputs == ("image",)]


def both(processor: Processor, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        baked = BakedNetwork(RedFinder(), processor)(torch.from_numpy(image)).numpy()
    return baked.astype(int), finder(processor).mask(image).astype(int)


def image_file(height: int, width: int) -> np.ndarray:
    """Smooth colors with an edge, as photographs have."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    image = np.stack([255 * x, 128 + 127 * np.sin(9 * y), 255 * (1 - x * y)], axis=2)
    return np.where(red_on_blue(height, width)[1][..., None] > 0, 255 - image, image).astype(
        np.uint8
    )


def test_every_step_has_its_counterpart() -> None:
    assert STEPS.keys() == PYTHON_STEPS.keys()


@pytest.mark.parametrize("size", [(90, 120), (31, 57), (64, 64)])
@pytest.mark.parametrize("model", MODELS)
def test_the_same_mask_as_in_python(model: str, size: tuple[int, int]) -> None:
    """Up to rounding, for the processing of every model that needs an image only."""
    processor = named(model).processor
    values = {**processor.to_dict(), "size": (64, 64)}
    baked, python = both(Processor(**values), image_file(*size))
    assert baked.shape == python.shape == size
    assert np.abs(baked - python).max() <= 16  # a rounding of one gray level, steepened
    assert np.abs(baked - python).mean() < 0.3


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k not in ("area", "whole")])
def test_kernels(kernel: str) -> None:
    processor = Processor((64, 64), image_kernel=kernel)  # type: ignore[arg-type]
    baked, python = both(processor, image_file(90, 120))
    assert np.abs(baked - python).mean() < 0.3


def test_a_black_picture_is_no_division_by_zero() -> None:
    processor = Processor((64, 64), scale="per_image_max", restore_steps=("sigmoid", "min_max"))
    baked, python = both(processor, np.zeros((64, 64, 3), np.uint8))
    assert np.array_equal(baked, python)
