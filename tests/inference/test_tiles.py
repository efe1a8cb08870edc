"""Tiles cover everything once blended, without seams."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.inference.detail import starts, tiled_logits


@given(st.integers(1, 3000), st.integers(1, 600), st.floats(0, 0.9))
def test_tiles_cover_an_axis_and_overlap(length: int, tile: int, overlap: float) -> None:
    found = starts(length, tile, overlap)
    assert found[0] == 0
    if length <= tile:
        assert found == [0]
        return
    assert found[-1] == length - tile
    steps = np.diff(found)
    assert steps.max() <= max(1, round(tile * (1 - overlap))) + 1


@pytest.mark.parametrize("size", [(30, 40), (100, 64), (257, 131)])
def test_a_constant_stays_constant(size: tuple[int, int]) -> None:
    """Weights sum to one everywhere, corners included."""
    image = np.zeros((*size, 3), np.uint8)
    logits = tiled_logits(
        image, (64, 64), 0.25, 3, lambda tiles: [torch.full((8, 8), 2.5)] * len(tiles)
    )
    assert logits.shape == size
    assert torch.allclose(logits, torch.full(size, 2.5))


def test_a_ramp_has_no_seams() -> None:
    """Tiles that disagree by their position are joined without a step."""
    image = np.zeros((64, 300, 3), np.uint8)
    tones = iter(range(100))

    def read(tiles: list[np.ndarray]) -> list[torch.Tensor]:
        return [torch.full((64, 64), float(next(tones))) for _ in tiles]

    row = tiled_logits(image, (64, 64), 0.5, 4, read)[32]
    assert row.diff().abs().max() < 0.1
    assert row[-1] > row[0] + 5
