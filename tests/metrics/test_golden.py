"""Every metric equals the numbers that the authors' code and PySODMetrics gave (item 13)."""

import json
from pathlib import Path

import numpy as np
import pytest

from src.metrics import score_image, score_pair, summarize
from src.metrics.f_measure import precision_recall_dis
from tests.golden_data import GOLDEN, arrays, needs_shared

STORED = dict(np.load(Path(__file__).parents[1] / "golden" / "metrics.npz"))
OURS = {
    "mae": "pysod_mae",
    "s_measure": "pysod_sm",
    "weighted_f": "pysod_wfm",
    "max_f": "pysod_fm_max",
    "mean_f": "pysod_fm_mean",
    "adp_f": "pysod_fm_adp",
    "max_f_dis": "pysod_fm_max",  # one image: averaging first or last is the same
    "max_e": "pysod_em_max",
    "mean_e": "pysod_em_mean",
    "adp_e": "pysod_em_adp",
    "max_iou": "pysod_v2_iou_max",
    "mean_iou": "insp_iou_mean",
    "adp_iou": "pysod_v2_iou_adp",
    "hce": "hce_total",
    "hce_pysod": "pysod_hce",
    "mba": "insp_mba",
}
DATASET = {
    "mae": "pysod_mae",
    "s_measure": "pysod_sm",
    "weighted_f": "pysod_wfm",
    "max_f": "pysod_fm_max",
    "mean_f": "pysod_fm_mean",
    "adp_f": "pysod_fm_adp",
    "max_e": "pysod_em_max",
    "mean_e": "pysod_em_mean",
    "adp_e": "pysod_em_adp",
    "max_iou": "insp_iou_max",
    "hce": "hce_mean",
    "hce_pysod": "pysod_hce",
    "mba": "insp_mba_finite_only",
}


@pytest.mark.parametrize("row", range(len(STORED["pairs"])), ids=STORED["pairs"])
def test_image_equals_golden(row: int) -> None:
    number = str(STORED["pairs"][row])[:2]
    values = score_image(STORED[f"pred_{number}"], STORED[f"gt_{number}"], list(OURS))

    golden = dict(zip(STORED["columns"], STORED["values"][row], strict=True))
    for ours, theirs in OURS.items():
        assert values[ours] == pytest.approx(golden[theirs], abs=1e-9, nan_ok=True), ours


@pytest.mark.parametrize("row", range(len(STORED["pairs"])), ids=STORED["pairs"])
def test_curves_of_isnets_log_equal_golden(row: int) -> None:
    number = str(STORED["pairs"][row])[:2]
    score = score_pair(STORED[f"pred_{number}"], STORED[f"gt_{number}"], ["mae"])

    precision, recall = precision_recall_dis(score.histogram)

    np.testing.assert_allclose(precision[::-1], STORED["isnet_pre"][row], atol=1e-6)
    np.testing.assert_allclose(recall[::-1], STORED["isnet_rec"][row], atol=1e-6)


@needs_shared
def test_data_set_equals_golden() -> None:
    import cv2

    stored = json.loads((GOLDEN / "13_metrics.json").read_text())
    names = [*DATASET, "max_f_dis_255"]
    scores = [
        score_pair(
            cv2.imread(str(GOLDEN / "metrics" / f"pred_{number}.png"), cv2.IMREAD_GRAYSCALE),
            cv2.imread(str(GOLDEN / "metrics" / f"gt_{number}.png"), cv2.IMREAD_GRAYSCALE),
            names,
        )
        for number in sorted(stored["per_image"])
    ]

    values = summarize(scores, names)

    for ours, theirs in DATASET.items():
        assert values[ours] == pytest.approx(stored["dataset"][theirs], abs=1e-9), ours
    assert values["max_f_dis_255"] == pytest.approx(stored["dataset"]["isnet_maxF_all"], abs=1e-6)
    # Without the constant prediction, whose curves are 0 in IS-Net's log:
    varying = [one for one in scores if np.count_nonzero(one.histogram.any(axis=0)) > 1]
    nonconstant = summarize(varying, names)["max_f_dis_255"]
    assert nonconstant == pytest.approx(stored["dataset"]["isnet_maxF_nonconstant"], abs=1e-6)


@needs_shared
def test_isnets_per_image_mae_of_binary_truths() -> None:
    """IS-Net's log divides by N + 1e-4 and takes the target as it is, here black and white."""
    golden = arrays("13_metrics")["isnet_mae"]
    for row, pair in enumerate(STORED["pairs"]):
        number = str(pair)[:2]
        prediction, target = STORED[f"pred_{number}"], STORED[f"gt_{number}"]
        if not np.isin(target, (0, 255)).all() or np.isnan(golden[int(number)]):
            continue
        ours = score_image(prediction, target, ["mae"])["mae"] * target.size / (target.size + 1e-4)
        assert ours == pytest.approx(golden[int(number)], abs=1e-6), row
