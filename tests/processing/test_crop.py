"""Crops and their way back equal the authors', and survive any box."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.processing.crop import (
    Box,
    BoxError,
    EmptyMaskError,
    box_of_mask,
    box_of_points,
    crop,
    paste_back,
)
from src.processing.resize import resize
from tests.golden_data import arrays, needs_shared

ITEM = "12_dextr_iog_helpers"
SMALL = Path(__file__).parents[1] / "golden" / "interactive.npz"
CASES = range(6)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(SMALL) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def shared() -> dict[str, np.ndarray]:
    return arrays(ITEM)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("relax", [0, 10, 50])
def test_boxes_are_the_authors(golden: dict[str, np.ndarray], case: int, relax: int) -> None:
    mask, points = golden[f"m{case}_mask"], golden[f"m{case}_extreme_points"]
    for name, box in (("", box_of_mask(mask, relax)), ("pts_", box_of_points(points, relax))):
        assert box == tuple(golden[f"m{case}_bbox_{name}pad{relax}_zp1"])
        assert box.clipped(mask.shape) == tuple(golden[f"m{case}_bbox_{name}pad{relax}_zp0"])


def test_paste_back_is_the_authors(golden: dict[str, np.ndarray]) -> None:
    box, size = box_of_mask(golden["m2_mask"], 10), golden["m2_mask"].shape
    for name, relax in (("relax", 10), ("norelax", 0)):
        ours = paste_back(golden["m2_pred_pad10"], box, size, relax)
        np.testing.assert_allclose(ours, golden[f"m2_fullmask_{name}_pad10"], atol=1e-3)


@needs_shared
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("relax", [10, 50])
def test_crops_and_resizes_are_the_authors(
    shared: dict[str, np.ndarray], case: int, relax: int
) -> None:
    def stored(name: str) -> np.ndarray:
        return shared[f"m{case}_{name}_pad{relax}"]

    box = box_of_mask(shared[f"m{case}_mask"], relax)
    image, mask = (crop(shared[f"m{case}_{name}"], box) for name in ("image", "mask"))
    assert np.array_equal(mask, stored("crop_mask"))
    if relax == 10:
        assert np.array_equal(image, stored("crop_img"))
    assert np.array_equal(resize(image, (64, 48), "opencv_cubic"), stored("resize_img_u8"))
    linear = resize(mask.astype(np.float32), (64, 48), "opencv")
    np.testing.assert_allclose(linear, stored("resize_mask_linear"), atol=1e-5)


@needs_shared
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("relax", [10, 50])
def test_masks_are_resized_as_dextrs_authors_do(
    shared: dict[str, np.ndarray], case: int, relax: int
) -> None:
    mask = crop(shared[f"m{case}_mask"], box_of_mask(shared[f"m{case}_mask"], relax))
    ours = resize(mask, (64, 48), "opencv_nearest")  # type: ignore[arg-type]
    assert np.array_equal(ours, shared[f"m{case}_resize_mask_pad{relax}"])


@needs_shared
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("relax", [10, 50])
def test_every_paste_back_is_the_authors(
    shared: dict[str, np.ndarray], case: int, relax: int
) -> None:
    mask, prediction = shared[f"m{case}_mask"], shared[f"m{case}_pred_pad{relax}"]
    box = box_of_mask(mask, relax)
    for name, inner in (("relax", relax), ("norelax", 0)):
        ours = paste_back(prediction, box, mask.shape, inner)
        np.testing.assert_allclose(ours, shared[f"m{case}_fullmask_{name}_pad{relax}"], atol=1e-5)


@needs_shared
@pytest.mark.parametrize("case", CASES)
def test_clipped_crops_are_the_authors(shared: dict[str, np.ndarray], case: int) -> None:
    size = shared[f"m{case}_mask"].shape
    box = box_of_mask(shared[f"m{case}_mask"], 10).clipped(size)
    assert np.array_equal(
        crop(shared[f"m{case}_image"], box), shared[f"m{case}_crop_img_clip_pad10"]
    )
    # Their stored map was made from the prediction of the wider crop.
    full = paste_back(shared[f"m{case}_pred_pad50"], box, size)
    np.testing.assert_allclose(full, shared[f"m{case}_fullmask_clip_pad10"], atol=1e-5)


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.tuples(*[st.integers(-8, 15)] * 2),
    st.tuples(*[st.integers(1, 20)] * 2),
)
def test_what_is_pasted_back_is_what_was_cropped(
    height: int, width: int, corner: tuple[int, int], extent: tuple[int, int]
) -> None:
    image = np.arange(1, height * width + 1, dtype=np.float32).reshape(height, width)
    box = Box(*corner, corner[0] + extent[0] - 1, corner[1] + extent[1] - 1)
    inside = [
        box.x_min < width and box.x_max >= 0,
        box.y_min < height and box.y_max >= 0,
    ]
    if not all(inside):
        with pytest.raises(BoxError, match="no pixel"):
            crop(image, box)
        return
    cut = crop(image, box)
    assert cut.shape == box.size
    full = paste_back(cut, box, image.shape)
    kept = np.zeros_like(image)
    kept[box.clipped(image.shape).slices] = 1
    assert np.array_equal(full, image * kept)


def test_impossible_boxes_are_named() -> None:
    with pytest.raises(EmptyMaskError, match="no foreground"):
        box_of_mask(np.zeros((4, 4), np.uint8))
    with pytest.raises(BoxError, match="two points"):
        box_of_points([[1, 2]])
    with pytest.raises(BoxError, match=r"40, 40.*10 × 8"):
        crop(np.zeros((8, 10), np.uint8), Box(30, 30, 40, 40))
