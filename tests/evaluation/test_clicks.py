"""Any network by the interactive field's protocol: the clicks and numbers of RITM's code."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from src.datamodules.clicks import Click
from src.datamodules.davis_585 import Davis585
from src.errors import UserError
from src.evaluation.clicks import ObjectToClick, evaluate_clicks, objects_of
from src.metrics import ClickCurves, Start
from tests.datamodules.object_layouts import write_davis_585

# `../shared/golden/public/clicks`, made with RITM's code: objects and a fake network.
GOLDEN = Path(__file__).parents[1] / "golden" / "clicks"
STORED: dict[str, Any] = json.loads((GOLDEN / "clicks.json").read_text())


class FakeNetwork:
    """A stored map in which every click sets a disc; remembers the clicks of each object."""

    def __init__(self) -> None:
        self.clicks: dict[str, list[list[int]]] = {}

    def __call__(self, image: Any, clicks: Sequence[Click]) -> np.ndarray:
        name, base, radius = image
        self.clicks[name] = [[y, x, int(inside)] for x, y, inside in clicks]
        probability = base / 255
        rows, columns = np.ogrid[: base.shape[0], : base.shape[1]]
        for x, y, inside in clicks:
            probability[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = inside
        return probability


def golden_objects() -> list[ObjectToClick]:
    objects = []
    for name, one in STORED["objects"].items():
        base, truth = (
            cv2.imread(str(GOLDEN / f"{kind}_{name}.png"), cv2.IMREAD_GRAYSCALE)
            for kind in ("base", "truth")
        )
        image = (name, base, one["radius"])
        objects.append(ObjectToClick(name, image, truth == 255, truth == 128, base / 255 > 0.49))
    return objects


@pytest.mark.parametrize(
    ("start", "key", "suffix"),
    [("nothing", "dataset", ""), ("mask", "dataset_from_base", "_from_mask")],
)
def test_clicks_ious_and_numbers_equal_those_of_the_field_s_code(
    start: Start, key: str, suffix: str
) -> None:
    network = FakeNetwork()
    curves = evaluate_clicks(network, golden_objects(), start=start)
    for i, (name, stored) in enumerate(STORED["objects"].items()):
        expected = stored["from_base"] if start == "mask" else stored
        assert network.clicks[name] == expected["clicks"], name
        assert curves.ious[i].tolist() == expected["ious"], name
        clicks = [int(curves.number_of_clicks(p / 100)[i]) for p in (80, 85, 90, 95)]
        assert clicks == [expected[f"noc{p}"] for p in (80, 85, 90, 95)]
    values = curves.values()
    assert {name: values[name + suffix] for name in STORED[key]} == pytest.approx(STORED[key])
    assert curves.seconds_per_click > 0


def test_stopping_at_an_iou_changes_no_number_of_clicks_up_to_it() -> None:
    """So nothing is stopped: the IoUs after every click are needed for the means."""
    values = evaluate_clicks(FakeNetwork(), golden_objects()).values()
    stopped = STORED["dataset_stopped_at_90"]
    assert {name: values[name] for name in stopped} == pytest.approx(stopped)


def square(name: str = "a") -> ObjectToClick:
    target = np.zeros((12, 16), np.uint8)
    target[3:9, 4:10] = 255
    return ObjectToClick(name, target / 255.0, target)


def exact(image: Any, clicks: Sequence[Click]) -> np.ndarray:
    """Right from the first answer on."""
    return np.asarray(image)


def test_an_object_that_is_right_at_once_costs_a_click_or_those_of_its_prompt() -> None:
    counts = {}
    for start in ("nothing", "mask", "prompt3", "prompt4"):
        one = square()
        given = ObjectToClick(one.name, one.image, one.target, mask=one.target)
        curves = evaluate_clicks(exact, [given], start=start)  # type: ignore[arg-type]
        counts[start] = int(curves.number_of_clicks(0.9)[0])
    assert counts == {"nothing": 1, "mask": 1, "prompt3": 3, "prompt4": 4}


def test_a_prompt_s_clicks_are_given_first_and_the_first_iou_is_that_of_its_mask() -> None:
    seen = []

    def predict(image: Any, clicks: Sequence[Click]) -> np.ndarray:
        seen.append(len(clicks))
        return np.asarray(image) * (len(clicks) >= 2)

    curves = evaluate_clicks(predict, [square()], start="prompt3")
    assert seen == list(range(18))
    assert curves.ious.shape == (1, 18)
    assert curves.ious[0, :3].tolist() == [0, 0, 1]
    assert curves.values()["noc90_prompt3"] == 5
    assert "miou_2_prompt3" not in curves.values()


def test_a_probability_counts_above_049() -> None:
    def predict(image: Any, clicks: Sequence[Click]) -> np.ndarray:
        return np.where(np.asarray(image) > 0, 0.49 + 0.001 * (len(clicks) > 1), 0)

    curves = evaluate_clicks(predict, [square()], clicks=2)
    assert curves.ious[0].tolist() == [0, 1]


def test_void_does_not_count_and_an_object_never_reached_counts_as_20() -> None:
    one = square()
    void = np.zeros((12, 16), bool)
    void[3:9, 4:7] = True
    half = np.asarray(one.image) * (np.arange(16) >= 7)

    def values(void: np.ndarray | None) -> dict[str, float]:
        given = ObjectToClick("a", half, one.target, void)
        return evaluate_clicks(exact, [given]).values()

    assert values(void)["noc90"] == 1
    assert values(None)["noc90"] == values(None)["noc80"] == 20
    assert values(None)["nof90"] == values(None)["never_90"] == 1
    assert values(None)["reached85_in_5"] == 0


def jittered(seed: int = 0) -> ClickCurves:
    return evaluate_clicks(FakeNetwork(), golden_objects()[:1], jitter_runs=3, seed=seed)


def test_jittered_users_click_beside_the_one_without_and_repeat() -> None:
    curves, again, other = jittered(), jittered(), jittered(seed=1)
    assert curves.jittered.shape == (1, 3, 20)
    np.testing.assert_array_equal(curves.jittered, again.jittered)
    np.testing.assert_array_equal(curves.jittered[:, 1:], other.jittered[:, :2])
    assert not np.array_equal(curves.jittered[:, 0], other.jittered[:, 2])
    assert curves.ious[0].tolist() == STORED["objects"]["00"]["ious"]
    values = curves.values()
    runs = [(run >= 0.85).argmax() + 1 if run.max() >= 0.85 else 20 for run in curves.jittered[0]]
    assert values["noc85_jitter_mean"] == pytest.approx(np.mean(runs))
    assert values["noc85_jitter_worst"] == max(runs)


def with_(**parts: Any) -> ObjectToClick:
    one = square()
    return ObjectToClick("cat:1", **{"image": one.image, "target": one.target} | parts)


@pytest.mark.parametrize(
    ("objects", "options", "words"),
    [
        ([], {}, "no objects"),
        ([square(), square()], {}, "two objects are called a"),
        ([with_(target=np.zeros((4, 4), bool))], {}, "cat:1: the target has no pixel"),
        ([with_(target=np.ones((4, 4)))], {}, "cat:1: target is float64; give bool, or uint8"),
        ([with_(void=np.ones((4, 4), bool))], {}, r"cat:1: void is \(4, 4\) and target \(12, 16\)"),
        ([with_(image=np.ones((4, 4)))], {}, r"cat:1: predict returned \(4, 4\)"),
        ([with_(image=np.full((12, 16), np.nan))], {}, "cat:1: predict returned no probabilities"),
        ([with_(image=np.ones((12, 16), int))], {}, "cat:1: predict returned no probabilities"),
        ([with_(image=np.full((12, 16), 3.0))], {}, "cat:1: predict returned no probabilities"),
        ([square()], {"start": "mask"}, "a has no mask to begin with"),
        ([square()], {"start": "box"}, "choose of nothing, mask, prompt3, prompt4"),
        ([square()], {"start": "prompt4", "clicks": 3}, "give 4 or more"),
        ([square()], {"jitter_runs": -1}, "give a number from 0 on"),
    ],
)
def test_what_cannot_be_clicked_is_one_line_that_names_the_object(
    objects: list[ObjectToClick], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        evaluate_clicks(exact, objects, **options)


def test_a_network_with_a_mask_among_its_inputs_gets_what_it_is_to_correct() -> None:
    """The object's own mask first, then its last answer; each user begins anew."""
    target = np.zeros((20, 30), bool)
    target[5:15, 5:25] = True
    start = np.zeros_like(target)
    start[5:15, 5:12] = True
    given: list[np.ndarray] = []

    def predict(_: Any, clicks: Sequence[Click], previous: np.ndarray) -> np.ndarray:
        given.append(previous)
        answer = previous.copy()
        for x, y, inside in clicks[-1:]:
            answer[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = inside
        return answer

    objects = [ObjectToClick("a", None, target, mask=start)]
    curves = evaluate_clicks(predict, objects, start="mask", clicks=3, jitter_runs=1, previous=True)
    assert [np.array_equal(one, start) for one in given] == [True, False, False] * 2
    assert given[0].dtype == np.float32
    assert (np.diff(curves.ious[0]) > 0).all()
    given.clear()
    evaluate_clicks(predict, objects, clicks=2, previous=True)
    assert not given[0].any()
    assert given[1].any()


def test_davis_585_is_clicked_from_its_own_masks(tmp_path: Path) -> None:
    write_davis_585(tmp_path)
    source = Davis585(tmp_path, "stm", cache_dir=tmp_path / "cache")
    objects = list(objects_of(source))
    assert [one.name for one in objects] == source.names
    assert all(one.mask is not None for one in objects)
    curves = evaluate_clicks(
        lambda _, clicks, previous: previous, objects, start="mask", previous=True
    )
    # A network that leaves the mask as it is keeps its IoU, and costs a click where it is good.
    for ious, one in zip(curves.ious, objects, strict=True):
        assert one.mask is not None
        first, true = one.mask > 128, one.target > 128
        assert ious.tolist() == [np.float32((first & true).sum() / (first | true).sum())] * 20
    assert "noc90_from_mask" in curves.values()
