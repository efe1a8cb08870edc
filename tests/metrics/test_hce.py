import json
import subprocess
import sys
import warnings

import cv2
import numpy as np
import pytest
from py_sod_metrics import HumanCorrectionEffortMeasure

from src.metrics.hce import human_correction_efforts, human_correction_efforts_pysod
from src.metrics.kernels.bits import pack
from src.metrics.kernels.corrections import count_corrections
from src.metrics.kernels.skeleton import skeletonize
from tests.golden_data import GOLDEN, needs_shared

from . import plain
from .maps import random_pairs, soft_pair

BEYOND = np.array([[[-3, -2]], [[-9, 0]], [[-6, 0]]], np.int32)  # lies beyond the chord's end
needs_new_opencv = pytest.mark.skipif(
    len(cv2.approxPolyDP(BEYOND, 2.0, False)) != 3,
    reason="OpenCV up to 4.12 measures distances to the chord's whole line: other numbers",
)


def golden_pair(index: int) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    values = json.loads((GOLDEN / "13_metrics.json").read_text())["per_image"][f"{index:02d}"]
    prediction, target = (
        cv2.imread(str(GOLDEN / f"metrics/{kind}_{index:02d}.png"), cv2.IMREAD_GRAYSCALE)
        for kind in ("pred", "gt")
    )
    assert prediction is not None
    assert target is not None
    return prediction.astype(np.uint8), target.astype(np.uint8), values


@needs_shared
@pytest.mark.parametrize("index", range(12))
def test_authors_integers(index: int) -> None:
    prediction, target, values = golden_pair(index)
    names = "hce_fp_points", "hce_fp_indep", "hce_fn_points", "hce_fn_indep"
    efforts = human_correction_efforts(prediction, target)
    assert efforts == tuple(values[name] for name in names)
    assert sum(efforts) == values["hce_total"]
    assert efforts == human_correction_efforts(prediction, target, skeletonize(target))
    assert sum(human_correction_efforts_pysod(prediction, target)) == values["pysod_hce"]


@needs_new_opencv
def test_equal_to_the_plain_form_on_random_pairs() -> None:
    relaxes = np.random.default_rng(0)
    for k, (prediction, target) in enumerate(random_pairs(seed=1, amount=1500)):
        relax = 5 if k % 2 else int(relaxes.integers(0, 8))
        expected = plain.hce(prediction > 128, target > 128, relax=relax)
        assert human_correction_efforts(prediction, target, relax=relax) == expected


@needs_new_opencv
def test_the_other_protocol_is_that_of_pysodmetrics() -> None:
    rng = np.random.default_rng(2)
    for _ in range(150):
        prediction, target = soft_pair(rng)
        measure = HumanCorrectionEffortMeasure()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            measure.step(prediction, target)
        expected = int(measure.get_results()["hce"])
        assert sum(human_correction_efforts_pysod(prediction, target)) == expected


@needs_new_opencv
def test_polygons_have_as_many_vertices_as_opencv_gives_them() -> None:
    rng = np.random.default_rng(3)
    ends, parents = np.empty(1, np.int64), np.array([-1])
    for _ in range(3000):
        steps = rng.integers(-3, 4, (rng.integers(1, 80), 2))
        steps = np.sign(steps) if rng.random() < 0.5 else steps
        points = dict.fromkeys(map(tuple, np.cumsum(steps, axis=0).tolist()))
        curve = np.array(list(points), np.int32)
        epsilon = float(rng.choice([0.5, 1.0, 2.0, 3.7]))
        expected = len(cv2.approxPolyDP(curve[:, None], epsilon, False))
        ends[0] = len(curve)
        touching = pack(np.ones(np.ptp(curve, axis=0)[::-1] + 1, np.uint8))
        found = count_corrections(curve - curve.min(axis=0), ends, parents, touching, epsilon)
        assert found == (expected, 0)


def test_a_perfect_prediction_needs_no_effort() -> None:
    for prediction, _ in random_pairs(seed=4, amount=30):
        assert human_correction_efforts(prediction, prediction) == (0, 0, 0, 0)


def test_a_map_that_is_wrong_everywhere_has_no_region_by_the_authors_labels() -> None:
    black, white = np.zeros((70, 90), np.uint8), np.full((70, 90), 255, np.uint8)
    assert human_correction_efforts(black, white) == (0, 0, 0, 0)
    assert human_correction_efforts(white, black) == (0, 0, 0, 0)
    assert human_correction_efforts_pysod(black, white) == (0, 0, 0, 1)
    assert human_correction_efforts_pysod(white, black) == (0, 1, 0, 0)


def test_a_region_off_the_boundary_is_one_click() -> None:
    target = np.zeros((80, 80), np.uint8)
    target[10:70, 10:40] = 255
    hole, island = target.copy(), target.copy()
    hole[30:45, 18:32] = 0
    island[20:50, 55:70] = 255
    assert human_correction_efforts(hole, target) == (0, 0, 0, 1)
    assert human_correction_efforts(island, target) == (0, 1, 0, 0)


def test_a_missed_part_at_the_boundary_has_to_be_drawn() -> None:
    target = np.zeros((80, 80), np.uint8)
    target[10:40, 10:70] = 255
    prediction = target.copy()
    prediction[:, 40:] = 0
    fp_points, fp_regions, fn_points, fn_regions = human_correction_efforts(prediction, target)
    assert (fp_points, fp_regions, fn_regions) == (0, 0, 0)
    assert 4 <= fn_points <= 10


@pytest.mark.parametrize(
    ("prediction", "skeleton", "message"),
    [
        (np.zeros((4, 5), np.uint8), None, r"prediction is \(4, 5\) but the target is \(5, 4\)"),
        (np.zeros((5, 4), np.uint8), np.zeros((4, 5), bool), r"skeleton is \(4, 5\)"),
    ],
)
def test_maps_of_two_sizes_are_refused(
    prediction: np.ndarray, skeleton: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        human_correction_efforts(prediction, np.zeros((5, 4), np.uint8), skeleton)


def test_no_heavy_import() -> None:
    heavy = "{'torch', 'skimage', 'lightning', 'timm'} & set(sys.modules)"
    code = f"import sys, src.metrics.hce, src.metrics._skeleton_cache; sys.exit(repr({heavy}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr.strip() == "set()"
