"""The image pyramid equals the authors' on the golden numbers, and is a pyramid."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from src.networks.pyramid import ImagePyramid, ellipse_half_widths, transition_map
from tests.golden_data import arrays, assert_golden, needs_shared, normal

ITEM = "11_pyramid"
COPIED = np.load(Path(__file__).parents[1] / "golden" / "inspyrenet.npz")


@pytest.fixture
def pyramid() -> ImagePyramid:
    return ImagePyramid()


@pytest.fixture
def x() -> Tensor:
    return normal("pyr_x", (2, 1, 48, 64), scale=2)


def test_reduces_even_and_odd_maps_like_the_authors(pyramid: ImagePyramid, x: Tensor) -> None:
    odd = normal("pyr_xodd", (1, 1, 49, 63), scale=2)
    for ours, theirs in ((x, COPIED["reduce"]), (odd, COPIED["odd_reduced"])):
        np.testing.assert_allclose(pyramid.reduce(ours), theirs, atol=2e-6, rtol=1e-5)


def deconstruct(pyramid: ImagePyramid, x: Tensor) -> tuple[Tensor, Tensor]:
    """The reduced map and what it lost, which a network's Laplacians stand for."""
    reduced = pyramid.reduce(x)
    expanded = pyramid.expand(reduced)
    if expanded.shape != x.shape:  # odd sides
        expanded = F.interpolate(expanded, x.shape[2:], mode="nearest")
    return reduced, x - expanded


@needs_shared
def test_equals_the_authors_pyramid(pyramid: ImagePyramid, x: Tensor) -> None:
    reduced, laplacian = deconstruct(pyramid, x)
    assert_golden(ITEM, "reduce", pyramid.reduce(x))
    assert_golden(ITEM, "expand", pyramid.expand(x))
    assert_golden(ITEM, "deconstruct_reduced", reduced)
    assert_golden(ITEM, "deconstruct_laplacian", laplacian)
    assert_golden(ITEM, "reconstruct_same", pyramid.reconstruct(reduced, laplacian))


@needs_shared
def test_resizes_details_that_do_not_fit(pyramid: ImagePyramid, x: Tensor) -> None:
    small = normal("pyr_lap_small", (2, 1, 24, 32), scale=2)
    assert_golden(ITEM, "reconstruct_resized", pyramid.reconstruct(pyramid.reduce(x), small))
    reduced, laplacian = deconstruct(pyramid, normal("pyr_xodd", (1, 1, 49, 63), scale=2))
    assert_golden(ITEM, "odd_reduced", reduced)
    assert_golden(ITEM, "odd_laplacian", laplacian)


@needs_shared
@pytest.mark.parametrize("size", [5, 9, 17])
def test_equals_the_authors_transition_map(size: int) -> None:
    logits = torch.from_numpy(arrays(ITEM)["transition_map"])
    assert_golden(ITEM, f"transition_k{size}", transition_map(logits, size).byte())


@pytest.mark.parametrize("size", [5, 9, 17])
def test_ellipse_is_the_authors(size: int) -> None:
    center = size // 2
    ours = np.zeros((size, size), np.uint8)
    for row, half in zip(ours, ellipse_half_widths(size), strict=True):
        row[center - half : center + half + 1] = 1
    np.testing.assert_array_equal(ours, COPIED[f"transition_kernel_k{size}"])


def test_transition_map_surrounds_an_edge() -> None:
    logits = torch.full((1, 1, 20, 40), -20.0)
    logits[..., 20:] = 20.0
    found = transition_map(logits, 5)[0, 0]
    assert found[:, 18:22].all()
    assert not found[:, :18].any()
    assert not found[:, 22:].any()


@pytest.mark.parametrize("size", [1, 4])
def test_transition_map_refuses_ellipses_without_a_centre(size: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        transition_map(torch.zeros(1, 1, 8, 8), size)


def test_puts_together_what_it_took_apart(pyramid: ImagePyramid, x: Tensor) -> None:
    torch.testing.assert_close(pyramid.reconstruct(*deconstruct(pyramid, x)), x)


def test_keeps_a_constant_map(pyramid: ImagePyramid) -> None:
    flat = torch.full((1, 1, 10, 14), 3.0)
    torch.testing.assert_close(pyramid.reduce(flat), torch.full((1, 1, 5, 7), 3.0))


def test_computes_in_fp32_under_autocast(pyramid: ImagePyramid, x: Tensor) -> None:
    expected = pyramid.expand(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(pyramid.expand(x), expected)
        assert pyramid.reduce(x.bfloat16()).dtype == torch.float32


def test_gradients_equal_finite_differences(pyramid: ImagePyramid) -> None:
    x = torch.randn(1, 1, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pyramid.reduce, (x,))
    assert torch.autograd.gradcheck(pyramid.expand, (x,))
