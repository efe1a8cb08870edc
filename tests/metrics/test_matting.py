"""Alpha mattes: soft against soft, with and without a trimap."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import UserError
from src.evaluation.maps import score_folder
from src.evaluation.read_map import SOFT
from src.metrics import SegmentationMetrics, records, score_image
from tests.metrics import plain
from tests.metrics.maps import Pair, soft_pair

OF_IMAGE = ["sad", "mad", "alpha_mse", "grad", "conn"]
WITH_TRIMAP = [name for name, record in records().items() if record.needs_trimap]


def mattes(seed: int) -> Pair:
    """A soft prediction and a soft ground truth."""
    rng = np.random.default_rng(seed)
    prediction, cut = soft_pair(rng)
    alpha = cv2.GaussianBlur(cut, (0, 0), 0.5 + 3 * rng.random()).reshape(cut.shape)
    return prediction, np.asarray(alpha, np.uint8)


def trimap_of(alpha: np.ndarray) -> np.ndarray:
    return np.where(alpha == 0, 0, np.where(alpha == 255, 255, 128)).astype(np.uint8)


def test_errors_are_those_of_their_plain_forms() -> None:
    for seed in range(30):
        prediction, target = mattes(seed)
        x, y = prediction / 255, target / 255
        values = score_image(prediction, target, OF_IMAGE)
        assert values["sad"] == pytest.approx(np.abs(x - y).sum() / 1000, abs=1e-12)
        assert values["mad"] == pytest.approx(np.abs(x - y).mean(), abs=1e-12)
        assert values["alpha_mse"] == pytest.approx(((x - y) ** 2).mean(), abs=1e-12)
        assert values["grad"] == pytest.approx(plain.gradient_error(x, y), rel=1e-4, abs=1e-6)
        assert values["conn"] == pytest.approx(plain.connectivity_error(x, y), abs=1e-9)


def test_no_gray_of_the_ground_truth_is_cut_or_stretched() -> None:
    gray = np.full((10, 10), 100, np.uint8)
    gray[0, 0] = 101
    assert score_image(gray, gray, OF_IMAGE) == pytest.approx(dict.fromkeys(OF_IMAGE, 0))
    assert score_image(gray, gray, ["mae"])["mae"] > 0


def test_a_trimap_says_what_is_known() -> None:
    target = np.array([[0, 100, 255, 255]], np.uint8)
    prediction = np.array([[55, 151, 255, 153]], np.uint8)
    trimap = np.array([[0, 128, 255, 255]], np.uint8)
    values = score_image(prediction, target, WITH_TRIMAP, trimap=trimap)
    assert values["sad_trimap"] == values["sad_unknown"] == pytest.approx(51 / 255 / 1000)
    assert values["mad_trimap"] == pytest.approx(51 / 255)
    assert values["alpha_mse_trimap"] == pytest.approx((51 / 255) ** 2)
    assert values["alpha_mse_unknown"] == pytest.approx((51 / 255) ** 2)
    assert values["sad_fg"] == pytest.approx(102 / 255 / 1000)
    assert values["sad_bg"] == pytest.approx(55 / 255 / 1000)


def test_without_an_unknown_pixel_the_means_over_them_are_undefined() -> None:
    target = np.full((6, 6), 255, np.uint8)
    scores = SegmentationMetrics(WITH_TRIMAP)
    scores.update([target], [target], trimaps=[target])
    assert scores.undefined() == {"mad_trimap": 1, "alpha_mse_trimap": 1}


def test_of_two_equal_parts_the_first_is_what_is_connected() -> None:
    target = np.zeros((9, 21), np.uint8)
    target[2:7, 2:7] = target[2:7, 12:17] = 255
    missed_first, missed_second = target.copy(), target.copy()
    missed_first[3, 3] = missed_second[3, 13] = 0
    # The part that loses a pixel is the smaller one.
    first = score_image(missed_first, target, ["conn"])["conn"]
    second = score_image(missed_second, target, ["conn"])["conn"]
    assert (
        first == second == pytest.approx(plain.connectivity_error(missed_first / 255, target / 255))
    )
    assert score_image(target, target, ["conn"])["conn"] == 0


def test_an_empty_ground_truth_has_no_error_of_connectivity() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 20), dtype=np.uint8)
    assert score_image(noise, noise * 0, ["conn"])["conn"] == 0


@pytest.mark.parametrize("name", WITH_TRIMAP)
def test_a_metric_with_a_trimap_asks_for_it(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} needs the image's trimap"):
        score_image(*mattes(0), [name])


@pytest.mark.parametrize(
    ("trimap", "error", "complaint"),
    [
        (np.zeros((4, 4)), TypeError, "trimap must be uint8"),
        (np.zeros((4, 5), np.uint8), ValueError, "trimap is"),
        (np.full((4, 4), 127, np.uint8), ValueError, "holds the level 127"),
    ],
)
def test_what_is_no_trimap_is_refused(
    trimap: np.ndarray, error: type[Exception], complaint: str
) -> None:
    gray = np.zeros((4, 4), np.uint8)
    with pytest.raises(error, match=complaint):
        score_image(gray, gray, ["sad_fg"], trimap=trimap)


def test_trimaps_reach_the_metric_of_a_data_set() -> None:
    pairs = [mattes(seed) for seed in range(4)]
    trimaps = [trimap_of(alpha) for _, alpha in pairs]
    scores = SegmentationMetrics(WITH_TRIMAP)
    scores.update([p for p, _ in pairs], [t for _, t in pairs], trimaps=trimaps)
    single = [
        score_image(*pair, WITH_TRIMAP, trimap=trimap)
        for pair, trimap in zip(pairs, trimaps, strict=True)
    ]
    values = scores.compute()
    for name in WITH_TRIMAP:
        assert values[name] == pytest.approx(np.nanmean([one[name] for one in single]))


def test_a_command_refuses_such_a_metric_before_it_looks_at_a_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sad_fg needs a trimap for each image"):
        score_folder(tmp_path / "maps", tmp_path / "masks", metrics=["sad", "sad_fg"])


@pytest.mark.parametrize(("metrics", "noticed"), [(["sad", "conn"], False), (["sad", "mae"], True)])
def test_a_soft_ground_truth_is_noticed_where_a_metric_cuts_it(
    tmp_path: Path, metrics: list[str], noticed: bool
) -> None:
    cut = np.zeros((60, 80), np.uint8)
    cut[20:40, 20:50] = 255
    prediction, target = cv2.GaussianBlur(cut, (0, 0), 3), cv2.GaussianBlur(cut, (0, 0), 1)
    for folder, gray in (("maps", prediction), ("masks", target)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), gray)
    values = score_folder(tmp_path / "maps", tmp_path / "masks", tmp_path / "out", metrics)
    (of_set,) = values.values()
    assert of_set == pytest.approx(score_image(prediction, target, metrics))
    assert (SOFT in (tmp_path / "out/results.md").read_text()) == noticed


def test_lower_is_better() -> None:
    assert not any(records()[name].higher_is_better for name in OF_IMAGE + WITH_TRIMAP)


def test_a_score_does_not_depend_on_where_in_memory_maps_lie() -> None:
    """Filters of OpenCV choose their instructions by the address; scores have to be the same."""
    rng = np.random.default_rng(0)
    names = [*OF_IMAGE, *WITH_TRIMAP, "context", "weighted_f", "s_measure", "relax_f", "mba"]
    disk = cv2.circle(np.zeros((40, 50), np.uint8), (27, 20), 11, 255, -1)
    target = np.asarray(cv2.GaussianBlur(disk, (9, 9), 0), np.uint8)
    prediction, trimap, held = np.roll(target, 1, axis=1), trimap_of(target), []

    def elsewhere(gray: np.ndarray) -> np.ndarray:
        start = int(rng.integers(0, 64))
        held.append(np.empty(gray.size + 64, np.uint8))
        moved = held[-1][start : start + gray.size].reshape(gray.shape)
        moved[...] = gray
        return moved

    seen = {
        tuple(
            score_image(
                elsewhere(prediction), elsewhere(target), names, trimap=elsewhere(trimap)
            ).values()
        )
        for _ in range(40)
    }
    assert len(seen) == 1
