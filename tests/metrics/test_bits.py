import cv2
import numpy as np
import pytest

from src.metrics.kernels import bits

from .maps import random_mask

WIDTHS = [1, 2, 63, 64, 65, 127, 128, 130, 150]


def masks(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [random_mask(rng, int(rng.integers(1, 80)), width) for width in WIDTHS for _ in range(6)]


def assert_same(words: bits.Words, mask: np.ndarray) -> None:
    """The pixels and the frame and padding, which must be zero."""
    np.testing.assert_array_equal(words, bits.pack(mask))


@pytest.mark.parametrize("mask", [np.ones((5, width), bool) for width in WIDTHS])
def test_pack_and_unpack_undo_each_other(mask: np.ndarray) -> None:
    words = bits.pack(mask)
    assert words.shape == (7, -(-mask.shape[1] // 64) + 2)
    assert not words[[0, -1]].any()
    assert not words[:, [0, -1]].any()
    assert bits.count(words) == mask.size
    np.testing.assert_array_equal(bits.unpack(words, mask.shape[1]), mask)


def test_complement_and_count() -> None:
    for mask in masks(0):
        words = bits.pack(mask)
        assert bits.count(words) == mask.sum()
        assert_same(bits.complement(words, mask.shape[1]), ~mask)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_grow_cross_keeps_to_what_it_may_enter(steps: int) -> None:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for mask, within in zip(masks(1), masks(1)[::-1], strict=True):
        within = np.resize(within, mask.shape)
        grown = mask.astype(np.uint8)
        for _ in range(steps):
            grown = cv2.dilate(grown, cross) & within
        words = bits.grow_cross(bits.pack(mask), bits.pack(within), steps)
        assert_same(words, grown.astype(bool))


@pytest.mark.parametrize("radius", [1, 2, 31, 63, 64, 65, 200])
def test_grow_square(radius: int) -> None:
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    for mask in masks(radius):
        words = bits.grow_square(bits.pack(mask), mask.shape[1], radius)
        assert_same(words, cv2.dilate(mask.astype(np.uint8), square) > 0)


@pytest.mark.parametrize("radius", [1, 3, 8, 20, 70])
def test_grow_convex_by_a_disk(radius: int) -> None:
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    reaches = (disk[radius:].sum(axis=1, dtype=np.int64) - 1) // 2
    for mask in masks(radius):
        words = bits.grow_convex(bits.pack(mask), mask.shape[1], reaches)
        assert_same(words, cv2.dilate(mask.astype(np.uint8), disk) > 0)
