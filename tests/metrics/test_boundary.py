import json

import cv2
import numpy as np
import pytest

from src.metrics.kernels.boundary import boundary_iou, mba
from tests.golden_data import GOLDEN, needs_shared

from . import plain
from .maps import random_mask, random_pairs


def test_equal_to_the_plain_forms_on_random_pairs() -> None:
    for prediction, target in random_pairs(seed=0, amount=400):
        ours, theirs = prediction > 128, target > 128
        assert mba(prediction, target) == pytest.approx(plain.mba(ours, theirs), nan_ok=True)
        assert boundary_iou(prediction, target) == plain.boundary_iou(ours, theirs)


@pytest.mark.parametrize("shape", [(1, 1500), (1500, 3), (700, 900)])
def test_equal_to_the_plain_forms_where_radii_grow(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = random_mask(rng, *shape), random_mask(rng, *shape)
    prediction, target = (np.where(mask, 255, 0).astype(np.uint8) for mask in (ours, theirs))
    assert mba(prediction, target) == pytest.approx(plain.mba(ours, theirs), nan_ok=True)
    assert boundary_iou(prediction, target) == plain.boundary_iou(ours, theirs)


@needs_shared
@pytest.mark.parametrize("index", range(12))
def test_authors_values(index: int) -> None:
    values = json.loads((GOLDEN / "13_metrics.json").read_text())["per_image"][f"{index:02d}"]
    prediction, target = (
        cv2.imread(str(GOLDEN / f"metrics/{kind}_{index:02d}.png"), cv2.IMREAD_GRAYSCALE)
        for kind in ("pred", "gt")
    )
    assert mba(prediction, target) == pytest.approx(values["insp_mba"], abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("target", [0, 255])
def test_no_boundary_no_accuracy(target: int) -> None:
    assert np.isnan(mba(np.zeros((9, 9), np.uint8), np.full((9, 9), target, np.uint8)))


def test_empty_maps_have_no_boundary_in_common() -> None:
    empty = np.zeros((9, 9), np.uint8)
    assert boundary_iou(empty, empty) == 0
    assert boundary_iou(empty + np.uint8(255), empty + np.uint8(255)) == 1


@pytest.mark.parametrize("metric", [mba, boundary_iou])
def test_maps_of_two_sizes_are_refused(metric) -> None:
    with pytest.raises(ValueError, match=r"prediction is \(4, 5\) but the target is \(5, 4\)"):
        metric(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8))
