"""Boxes become pixels, clicks and masks; what cannot be meant is refused."""

from typing import Any

import numpy as np
import pytest

from src.annotation.segment_boxes import BoxSegmenter, pixel_box
from src.errors import UserError
from src.processing.crop import BoxError
from tests.annotation.miniature import SIZE, BoxFiller


class Gray(BoxFiller):
    """Answers one gray everywhere, and notes what it was asked."""

    def __init__(self, level: int, clicks: str = "inside_outside") -> None:
        super().__init__()
        self.level, self.clicks, self.asked = level, clicks, {}

    def predict(self, **asked: Any) -> np.ndarray:
        self.asked = asked
        return np.full(SIZE, self.level, np.uint8)


def opened(segmenter: Any, **options: Any) -> BoxSegmenter:
    box_segmenter = BoxSegmenter(segmenter, **options)
    box_segmenter.open(np.zeros((*SIZE, 3), np.uint8))
    return box_segmenter


def annotation(**fields: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "bbox": [10, 20, 30, 40], **fields}


def test_the_pixels_of_a_box() -> None:
    assert tuple(pixel_box([10, 20, 30, 40], SIZE)) == (10, 20, 39, 59)
    assert tuple(pixel_box([-5.4, 80, 20, 40], SIZE)) == (0, 80, 14, 89)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2, 3], "is not .x, y, width, height."),
        ([1, 2, 3, 4, 5], "is not .x, y, width, height."),
        ([1, 2, 3, "wide"], "is not .x, y, width, height."),
        (None, "bbox None is not"),
        ([1, 2, float("nan"), 4], "a number that is not finite"),
        ([1, 2, float("inf"), 4], "a number that is not finite"),
        ([1, 2, 0, 4], "has no area"),
        ([1, 2, 3, -4], "has no area"),
        ([1, 2, 0.3, 4], "has no area"),
    ],
)
def test_boxes_that_cannot_be_meant(values: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        pixel_box(values, SIZE)


def test_a_box_beside_the_image_is_refused() -> None:
    with pytest.raises(BoxError, match="no pixel in an image of 120 × 90"):
        pixel_box([500, 5, 9, 9], SIZE)


def test_iog_is_given_the_box_alone() -> None:
    segmenter = Gray(200)
    clicks = opened(segmenter)._clicks(annotation(extreme_points=[[1, 1]]))
    assert clicks == {"box": (10, 20, 39, 59)}


def test_dextr_is_given_the_points_alone() -> None:
    points = [[5, 9], [30, 12], [11, 4], [12, 40]]
    box_segmenter = opened(Gray(200, "extreme_points"))
    assert box_segmenter._clicks(annotation(extreme_points=points)) == {
        "points": [(5, 9), (30, 12), (11, 4), (12, 40)]
    }
    with pytest.raises(UserError, match=r"needs extreme_points .*use iog, or add them"):
        box_segmenter.cut(annotation())


@pytest.mark.parametrize(
    ("level", "threshold", "found"), [(128, 0.5, True), (127, 0.5, False), (3, 0.01, True)]
)
def test_a_pixel_belongs_from_the_threshold_on(level: int, threshold: float, found: bool) -> None:
    pytest.importorskip("pycocotools")
    box_segmenter = opened(Gray(level), threshold=threshold)
    if found:
        assert box_segmenter.cut(annotation())["area"] == SIZE[0] * SIZE[1]
    else:
        with pytest.raises(UserError, match="nothing was found in the box"):
            box_segmenter.cut(annotation())


def test_the_box_that_was_asked_for_is_kept_beside_the_masks_own() -> None:
    pytest.importorskip("pycocotools")
    asked = annotation(bbox=[10.4, 20, 30, 40], note="kept", iscrowd=1)
    cut = opened(BoxFiller()).cut(asked)
    assert cut["box"] == [10.4, 20, 30, 40]
    assert cut["bbox"] == [10, 20, 30, 40]
    assert (cut["iscrowd"], cut["note"], cut["area"]) == (0, "kept", 1200)
    assert asked["bbox"] == [10.4, 20, 30, 40]
    assert "segmentation" not in asked


def test_models_without_clicks_are_refused() -> None:
    segmenter = BoxFiller()
    segmenter.clicks = None
    with pytest.raises(UserError, match="clicks: dextr, dextr_atrous, iog, iog_refine"):
        BoxSegmenter(segmenter)  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [0, 1, -0.5, 127.5, float("nan")])
def test_a_threshold_is_a_probability(threshold: float) -> None:
    with pytest.raises(UserError, match="a probability between 0 and 1"):
        BoxSegmenter(BoxFiller(), threshold=threshold)  # type: ignore[arg-type]
