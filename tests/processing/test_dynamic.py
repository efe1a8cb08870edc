"""Sizes and pixels of InSPyReNet's resizing equal the authors' (golden item 14)."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.processing.processor import dynamic_size
from src.processing.resize import resize
from tests.golden_data import arrays, needs_shared

# Original width and height, and the authors' at limits 1280 and 1024 (golden item 14).
AUTHORS = [
    (640, 480, 640, 480, 640, 480),
    (1280, 1280, 1280, 1280, 1024, 1024),
    (1920, 1080, 1920, 1088, 1824, 1024),
    (1080, 1920, 1088, 1920, 1024, 1824),
    (4000, 3000, 1696, 1280, 1376, 1024),
    (1281, 1279, 1280, 1280, 1024, 1024),
    (300, 5000, 288, 4992, 288, 4992),
    (47, 1300, 32, 1312, 32, 1312),
    (2560, 1440, 2272, 1280, 1824, 1024),
    (1296, 1296, 1280, 1280, 1024, 1024),
    (80, 112, 64, 128, 64, 128),
    (48, 176, 64, 192, 64, 192),
]


@pytest.mark.parametrize("row", AUTHORS, ids=lambda row: f"{row[0]}x{row[1]}")
def test_sizes(row: tuple[int, ...]) -> None:
    assert dynamic_size(row[0], row[1], 1280) == row[2:4]
    assert dynamic_size(row[0], row[1], 1024) == row[4:6]


@needs_shared
def test_sizes_are_all_of_the_golden_ones() -> None:
    sizes = arrays("14_transforms")["sizes"]
    np.testing.assert_array_equal(np.array(AUTHORS), sizes[:, [0, 1, 2, 3, 10, 11]])


@needs_shared
def test_pixels() -> None:
    golden = arrays("14_transforms")
    image, mask = golden["image_u8"], golden["gt_u8"]
    height, width = mask.shape
    size = dynamic_size(width, height, limit=96)[::-1]
    assert size == golden["dyn_gt_u8"].shape
    for name, shape in (("dyn", size), ("dyn", (64, 48)), ("sta", (80, 72))):
        suffix = "_resized_u8" if shape == (64, 48) else "_u8"
        ours = resize(image, shape, "pillow")
        np.testing.assert_array_equal(ours, golden[f"{name}_image{suffix}"])
        theirs = golden[f"{name}_gt{suffix}"]
        nearest = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        np.testing.assert_array_equal(nearest, theirs)


@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(32, 2000))
def test_any_image_gets_a_usable_size(width: int, height: int, limit: int) -> None:
    sides = dynamic_size(width, height, limit)
    assert all(side >= 32 and side % 32 == 0 for side in sides)
    assert min(sides) <= max(32, limit + 16)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        dynamic_size(0, 10, 100)
