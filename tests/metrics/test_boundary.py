import json

import cv2
import numpy as np
import pytest

from src.metrics.boundary import boundary_iou, boundary_iou_curve, mba
from src.metrics.joint_histogram import min_max_levels
from tests.golden_data import GOLDEN, arrays, needs_shared

from . import plain
from .maps import random_mask, random_pairs


def test_equal_to_the_plain_forms_on_random_pairs() -> None:
    for prediction, target in random_pairs(seed=0, amount=400):
        ours, theirs = prediction > 128, target > 128
        assert mba(prediction, target) == pytest.approx(plain.mba(ours, theirs), nan_ok=True)
        assert boundary_iou(prediction, target) == plain.boundary_iou(ours, theirs)
        stretched = (min_max_levels(prediction) * 255).astype(np.uint8)[prediction]
        np.testing.assert_allclose(
            boundary_iou_curve(prediction, target), plain.boundary_iou_curve(stretched, theirs)
        )


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
    curve = boundary_iou_curve(prediction, target)
    np.testing.assert_allclose(curve, arrays("13_metrics")["insp_biou_curve"][index], atol=1e-12)
    assert curve.mean() == pytest.approx(values["insp_biou_mean"], abs=1e-12)
    assert curve.max() == pytest.approx(values["insp_biou_max"], abs=1e-12)


@pytest.mark.parametrize("target", [0, 255])
def test_no_boundary_no_accuracy(target: int) -> None:
    assert np.isnan(mba(np.zeros((9, 9), np.uint8), np.full((9, 9), target, np.uint8)))


def test_empty_maps_have_no_boundary_in_common() -> None:
    empty = np.zeros((9, 9), np.uint8)
    assert boundary_iou(empty, empty) == 0
    assert boundary_iou(empty + np.uint8(255), empty + np.uint8(255)) == 1


def test_raw_levels_keep_a_faint_map_faint() -> None:
    target = np.zeros((40, 40), np.uint8)
    target[10:30, 10:30] = 255
    faint = target // 2
    raw = boundary_iou_curve(faint, target, levels=np.arange(256) / 255)
    assert raw[100] == 0
    assert raw[-127 - 1] == 1
    assert boundary_iou_curve(faint, target)[0] == 1


@pytest.mark.parametrize("measure", [mba, boundary_iou, boundary_iou_curve])
def test_maps_of_two_sizes_are_refused(measure) -> None:
    with pytest.raises(ValueError, match=r"prediction is \(4, 5\) but truth is \(5, 4\)"):
        measure(np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8))
