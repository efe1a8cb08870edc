"""Each kernel is the one that a paper's code used."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from src.processing.resize import KERNELS, resize

RESIZING = [kernel for kernel in KERNELS if kernel != "whole"]


def image(height: int = 30, width: int = 50) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("kernel", RESIZING)
@pytest.mark.parametrize("size", [(12, 20), (60, 70), (1, 1)])
def test_images_and_masks_get_the_size_and_stay_8_bit(kernel: Any, size: tuple[int, int]) -> None:
    for source, shape in ((image(), (*size, 3)), (image()[..., 0], size)):
        resized = resize(source, size, kernel)
        assert resized.shape == shape
        assert resized.dtype == np.uint8


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_has_the_size_already_is_left_as_it_is(kernel: Any) -> None:
    source = image()
    assert resize(source, (30, 50), kernel) is source
    assert resize(source, [30, 50], kernel) is source  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_constant_image_stays_constant(kernel: Any, level: int) -> None:
    for size in ((7, 11), (90, 31)):
        assert (resize(np.full((30, 50, 3), level, np.uint8), size, kernel) == level).all()


def test_whole_images_keep_their_size() -> None:
    source = image()
    assert resize(source, (12, 20), "whole") is source


def test_an_unknown_kernel_lists_the_known() -> None:
    with pytest.raises(ValueError, match="'lanczos' is unknown; choose one of opencv, opencv_cu"):
        resize(image(), (30, 50), "lanczos")  # type: ignore[arg-type]


def test_opencv_kernel_is_torchs_within_one_level() -> None:
    """IS-Net resizes with torch and truncates; ours may be one gray level away, not more."""
    source = image(90, 120)
    ours = resize(source, (64, 64), "opencv")
    torchs = torch.nn.functional.interpolate(
        torch.from_numpy(source).permute(2, 0, 1)[None].float(), (64, 64), mode="bilinear"
    )[0].permute(1, 2, 0)
    gap = (torch.from_numpy(ours).float() - torchs).abs()
    assert gap.max() <= 1.01
    assert gap.mean() <= 0.5


def test_opencv_kernel_is_skimages_within_one_level() -> None:
    """U²-Net resizes with scikit-image, order 1, no antialiasing."""
    from skimage import transform

    source = image(90, 120)
    theirs = transform.resize(source, (64, 64), order=1, mode="reflect", anti_aliasing=False) * 255
    gap = np.abs(resize(source, (64, 64), "opencv") - theirs)
    assert gap.max() <= 1.01


SIZES = [(20, 33), (64, 40), (91, 121)]


@pytest.mark.parametrize("size", SIZES)
def test_pillows_kernel_is_pillows(size: tuple[int, int]) -> None:
    source = image(90, 120)
    theirs = Image.fromarray(source).resize(size[::-1], Image.Resampling.BILINEAR)
    assert np.array_equal(resize(source, size, "pillow"), np.asarray(theirs))


@pytest.mark.parametrize("size", SIZES)
def test_the_nearest_pixel_is_pillows_but_half_way_between_two(size: tuple[int, int]) -> None:
    source = image(90, 120)
    theirs = Image.fromarray(source).resize(size[::-1], Image.Resampling.NEAREST)
    differing = (resize(source, size, "nearest") != np.asarray(theirs)).any(axis=2)
    rows, columns = (
        (2 * np.arange(new) + 1) * old % (2 * new) == 0
        for old, new in zip((90, 120), size, strict=True)
    )
    assert not differing[~rows][:, ~columns].any()
    assert differing.mean() < 0.05


def test_which_pixel_is_nearest() -> None:
    """OpenCV's older rule takes the one at or before the place, Pillow's the nearest center."""
    row = np.arange(10, dtype=np.uint8)[None]
    assert resize(row, (1, 4), "opencv_nearest").tolist() == [[0, 2, 5, 7]]
    assert resize(row, (1, 4), "nearest").tolist() == [[1, 3, 6, 8]]


def test_area_averages_what_a_pixel_covers() -> None:
    row = np.array([[0, 100, 200, 40]], np.uint8)
    assert resize(row, (1, 2), "area").tolist() == [[50, 120]]


def test_only_the_antialiased_kernels_see_a_thin_line_wherever_it_lies() -> None:
    seen = {}
    for kernel in RESIZING:
        found = []
        for x in range(8, 16):
            line = np.zeros((64, 64), np.uint8)
            line[:, x] = 255
            found.append(int(resize(line, (8, 8), kernel).max()))
        seen[kernel] = min(found) > 0
    assert {kernel for kernel, always in seen.items() if always} == {"pillow", "area"}
