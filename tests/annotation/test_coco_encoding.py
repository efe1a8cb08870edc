"""Run-length codes and polygons: whatever the mask, its pixels come back."""

from typing import Any, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

masks = pytest.importorskip("pycocotools.mask")

from src.annotation.coco_encoding import Format, encoded  # noqa: E402  needs pycocotools

# pycocotools' own: numpy 2 wants a keyword that its arrays do not take.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def decoded(segmentation: Any, shape: tuple[int, int]) -> np.ndarray:
    if isinstance(segmentation, list):
        segmentation = masks.merge(masks.frPyObjects(segmentation, *shape))
    return np.asarray(masks.decode(segmentation))


def ring(size: int = 60) -> np.ndarray:
    """A ring with a dot in its hole, touching the image's border."""
    mask = np.zeros((size, size + 7), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), size // 2, 255, size // 5)
    cv2.circle(mask, (size // 2, size // 2), 3, 255, -1)
    return mask


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_polygons_fill_to_the_same_pixels(mask: np.ndarray) -> None:
    """Holes, holes in holes, parts that touch at corners only: all of it."""
    if mask.any():
        found = encoded(mask, "polygon")["segmentation"]
        assert np.array_equal(decoded(found, mask.shape), mask)


@pytest.mark.parametrize("kind", get_args(Format))
def test_a_ring_keeps_its_hole(kind: Any) -> None:
    mask = ring()
    found = encoded(mask, kind)
    assert np.array_equal(decoded(found["segmentation"], mask.shape) * 255, mask)
    rows, columns = np.nonzero(mask)
    assert found["area"] == len(rows)
    x, y, width, height = found["bbox"]
    assert (x, y) == (columns.min(), rows.min())
    assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="without foreground"):
        encoded(np.zeros((4, 4), np.uint8))
