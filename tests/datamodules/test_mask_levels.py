"""What a mask is, judged once for every command."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from src.datamodules.mask_levels import Scale, mixed_scales, not_a_mask, scale_of, scaled
from src.datamodules.raster import KindError
from tests.datamodules.miniatures import disc


def as_jpeg(mask: np.ndarray, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(mask).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file), copy=True)


def objects() -> np.ndarray:
    """A map of three objects, in levels that people can tell apart."""
    labels = np.zeros((120, 160), np.uint8)
    for number, left in enumerate((10, 60, 110), start=1):
        labels[20:100, left : left + 40] = 70 * number
    return labels


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_a_label_map_that_jpeg_has_blurred_is_no_mask(quality: int) -> None:
    labels = as_jpeg(objects(), quality)
    assert "even gray areas in a JPEG" in str(not_a_mask(labels, jpeg=True))
    assert not_a_mask(labels) is None, "the same levels in a PNG may be meant"


@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize("blur", [0, 2, 8])
def test_a_soft_mask_in_a_jpeg_is_one(quality: int, blur: float) -> None:
    mask = cv2.resize(disc(1), (160, 120), interpolation=cv2.INTER_NEAREST)
    soft = cv2.GaussianBlur(mask, (0, 0), blur) if blur else mask
    assert not_a_mask(as_jpeg(soft, quality), jpeg=True) is None


def test_the_scale_is_the_smallest_that_holds_the_levels() -> None:
    def of(kind: type, highest: int) -> Scale | None:
        return scale_of(np.array([[0, highest]], kind))

    assert of(np.uint8, 1) == Scale(1, 255)
    assert of(np.uint8, 2) == Scale(255, 255)
    assert of(np.uint16, 255) == Scale(255, 65535)
    assert of(np.uint16, 256) == Scale(65535, 65535)
    assert of(np.uint8, 0) is None
    assert scale_of(np.ones((2, 2), np.float32)) is None


def test_levels_are_stretched_from_the_scale_of_their_set() -> None:
    ones = np.array([[0, 1]], np.uint8)
    assert scaled(ones).tolist() == [[0, 255]]
    assert scaled(ones, 255).tolist() == [[0, 1]]
    deep = np.array([[0, 200]], np.uint16)
    assert scaled(deep).tolist() == [[0, 200]]
    assert scaled(deep, 65535).tolist() == [[0, 1]]
    with pytest.raises(KindError, match="levels up to 200, where other files of the set end at 1"):
        scaled(deep, 1)


def test_files_of_another_scale_than_their_set_are_named() -> None:
    one, byte, deep = Scale(1, 255), Scale(255, 255), Scale(65535, 65535)
    assert mixed_scales("aaab", [one, None, one, byte]) == [None] * 4
    assert mixed_scales("aa", [byte, deep]) == [None] * 2, "each is full in its own depth"
    said = mixed_scales("aaa", [byte, one, None])
    assert said[0] is said[2] is None
    assert "its levels end at 1, those of other masks at 255" in str(said[1])
