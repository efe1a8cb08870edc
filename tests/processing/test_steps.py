"""Each step on the way from logits to a mask, by itself."""

import numpy as np
import pytest
import torch
from PIL import Image

from src.processing.steps import (
    STEPS,
    invert,
    min_max,
    resize,
    resize_8bit,
    resize_corners,
    sigmoid,
)

SIZE = (33, 21)


def ramp() -> torch.Tensor:
    return torch.linspace(0, 1, 48).view(6, 8)


def test_steps_are_known_by_their_names() -> None:
    assert list(STEPS) == [
        "sigmoid",
        "invert",
        "min_max",
        "resize",
        "resize_corners",
        "resize_8bit",
    ]
    assert STEPS["resize"] is resize


@pytest.mark.parametrize("name", STEPS)
def test_steps_change_sizes_or_leave_them_alone(name: str) -> None:
    found = STEPS[name](ramp(), SIZE)
    assert found.shape == (SIZE if name.startswith("resize") else (6, 8))
    assert found.dtype == torch.float32


@pytest.mark.parametrize("name", ["resize", "resize_corners"])
def test_a_map_of_the_size_is_not_touched(name: str) -> None:
    values = ramp()
    assert STEPS[name](values, (6, 8)) is values


def test_sigmoid_and_inversion() -> None:
    logits = torch.tensor([[-200.0, 0.0, 200.0]])
    assert sigmoid(logits, SIZE).tolist() == [[0, 0.5, 1]]
    assert invert(torch.tensor([[0.0, 0.25, 1.0]]), SIZE).tolist() == [[1, 0.75, 0]]


def test_a_map_is_stretched_to_its_ends() -> None:
    found = min_max(torch.tensor([[0.2, 0.3, 0.6]]), SIZE)
    assert torch.allclose(found, torch.tensor([[0.0, 0.25, 1.0]]))
    assert min_max(torch.tensor([[-3.0, 5.0]]), SIZE).tolist() == [[0, 1]]


@pytest.mark.parametrize(("value", "kept"), [(0.4, 0.4), (-2.0, 0.0), (3.0, 1.0)])
def test_a_constant_map_is_clipped(value: float, kept: float) -> None:
    found = min_max(torch.full((2, 3), value), SIZE)
    assert torch.equal(found, torch.full((2, 3), kept))


def test_where_the_corner_pixels_go() -> None:
    row = torch.tensor([[0.0, 1.0]])
    assert resize_corners(row, (1, 5))[0].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert resize(row, (1, 4))[0].tolist() == pytest.approx([0, 0.25, 0.75, 1])


def test_8_bit_is_truncated_before_pillow_resizes() -> None:
    values = ramp() * 0.99
    stored = Image.fromarray((values.numpy() * 255).astype(np.uint8))
    theirs = np.asarray(stored.resize(SIZE[::-1], Image.Resampling.BILINEAR))
    found = resize_8bit(values, SIZE)
    assert torch.equal((found * 255).round().to(torch.uint8), torch.from_numpy(theirs.copy()))


def test_8_bit_is_truncated_at_the_size_too() -> None:
    found = resize_8bit(torch.tensor([[0.999, 0.5]]), (1, 2)) * 255
    assert found.tolist() == [[254, 127]]
