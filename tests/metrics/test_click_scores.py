"""What is counted of IoUs after clicks: as the field counts, from any start, on any processes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing import start_processes

from src.errors import UserError
from src.metrics import (
    ClickCurves,
    ClickScores,
    CorrectionScores,
    Start,
    describe,
    read_click_curves,
    records,
    require_same,
    write_click_curves,
)
from src.metrics.number_of_clicks import clicks_to_reach

COUNTING: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "clicks" / "clicks.json").read_text()
)["counting"]


def curves(ious: Any, start: Start = "nothing", jittered: Any = None) -> ClickCurves:
    rows = np.array(ious, np.float32)
    none = np.empty((len(rows), 0, rows.shape[1]))
    drawn = np.array(none if jittered is None else jittered, np.float32)
    names = [f"object {i}" for i in range(len(rows))]
    return ClickCurves(start, names, rows, np.full(len(rows), 2.0), drawn)


def test_the_field_s_edge_cases_are_counted_as_its_code_counts_them() -> None:
    made = curves(COUNTING["ious"])
    for percent in (80, 85, 90, 95):
        counted = made.number_of_clicks(percent / 100).tolist()
        assert counted == COUNTING["per_object"][f"noc{percent}"]
    values = made.values()
    stored = COUNTING["dataset"]
    assert {name: values[name] for name in stored} == pytest.approx(stored, abs=1e-7)


def test_success_at_the_twentieth_click_counts_as_failed_but_not_as_never() -> None:
    values = curves([[0.5] * 19 + [0.95], [0.5] * 20]).values()
    assert (values["noc90"], values["nof90"], values["never_90"]) == (20, 2, 1)


def test_ious_are_compared_in_single_precision() -> None:
    assert clicks_to_reach([0.85 - 1e-9], 0.85) == 1
    assert clicks_to_reach([0.85 - 1e-6], 0.85) == 20
    assert clicks_to_reach([0.9, 0.1], 0.9) == 1


def test_a_prompt_s_points_are_the_first_clicks() -> None:
    made = curves([[0.7, 0.86] + [0.91] * 16, [0.99] * 18], "prompt3")
    assert made.clicks == 20
    values = made.values()
    assert values["noc85_prompt3"] == (4 + 3) / 2
    assert values["noc90_prompt3"] == (5 + 3) / 2
    assert values["noc90_std_prompt3"] == 1
    assert values["miou_3_prompt3"] == pytest.approx((0.7 + 0.99) / 2)
    assert values["reached85_in_5_prompt3"] == 1
    assert made.after(4).tolist() == pytest.approx([0.86, 0.99])
    with pytest.raises(UserError, match="3 to 20 clicks, not 2"):
        made.after(2)


def test_fewer_clicks_than_20_give_no_number_of_clicks() -> None:
    made = curves([[0.5, 0.6, 0.7, 0.8, 0.9]])
    assert [*made.values()] == ["miou_1", "miou_2", "miou_3", "miou_5", "reached85_in_5"]
    with pytest.raises(UserError, match="counted over 20 clicks, and 5 were given"):
        made.number_of_clicks(0.85)


def test_every_value_has_a_record_that_knows_its_direction() -> None:
    drawn = np.full((1, 5, 17), 0.5)
    values = curves([[0.5] * 17], "prompt4", drawn).values()
    assert {*values} == {name for name in records() if name.endswith("_prompt4")}
    up = {name for name in values if records()[name].higher_is_better}
    assert up == {name for name in values if name.startswith(("miou", "reached"))}


def test_numbers_of_other_starts_other_jitter_and_older_versions_do_not_meet() -> None:
    drawn = np.full((1, 2, 20), 0.5)
    two_runs = curves([[0.5] * 20], jittered=drawn).protocols()
    five = {name: describe(name) for name in two_runs}
    require_same(two_runs, five, ["noc90", "miou_5"])
    with pytest.raises(UserError, match="two protocols"):
        require_same(two_runs, five, ["noc90_jitter_worst"])
    older = "noc90/2: clicks to reach IoU 0.90, the prompt being the first, at most 4"
    with pytest.raises(UserError, match="two protocols"):
        require_same(five, {"noc90": older}, ["noc90"])
    starts = {describe(f"noc90{end}") for end in ("", "_from_mask", "_prompt3", "_prompt4")}
    assert len(starts) == 4


def test_curves_are_stored_to_the_bit_and_every_other_target_follows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    made = curves(rng.random((3, 18)), "prompt3", rng.random((3, 2, 18)))
    write_click_curves(tmp_path / "new", {"VOC-val": made})
    read = read_click_curves(tmp_path / "new")["VOC-val"]
    assert (read.start, list(read.names), read.clicks) == ("prompt3", list(made.names), 20)
    np.testing.assert_array_equal(read.ious, made.ious)
    np.testing.assert_array_equal(read.jittered, made.jittered)
    assert read.seconds_per_click == made.seconds_per_click == 2.0 / 20
    only_a_prompt = replace(made, given=3)
    write_click_curves(tmp_path / "new", {"VOC-val": only_a_prompt})
    assert read_click_curves(tmp_path / "new")["VOC-val"].seconds_per_click == 2.0 / 3
    assert read.number_of_clicks(0.7).tolist() == made.number_of_clicks(0.7).tolist()


@pytest.mark.parametrize(
    "stored",
    [
        {"start": "somewhere", "clicks": 1, "given": None, "gamma": 1, "objects": {}},
        {
            "start": "nothing",
            "clicks": 2,
            "gamma": 1,
            "objects": {"a": {"ious": [1], "seconds": 1}},
        },
        {
            "start": "nothing",
            "clicks": 1,
            "given": None,
            "gamma": 1,
            "objects": {"a": {"ious": ["x"]}},
        },
        [],
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, stored: Any) -> None:
    (tmp_path / "clicks.json").write_text(json.dumps({"SET": stored}))
    with pytest.raises(UserError, match=r"clicks\.json: these are no IoUs after clicks"):
        read_click_curves(tmp_path)


def ious_of(index: int) -> np.ndarray:
    return np.random.default_rng(index).random((3, 18)).astype(np.float32)


def scored(index: list[int], **options: Any) -> ClickScores:
    scores = ClickScores("prompt3", 20, jitter_runs=2, **options)
    for i in index:
        scores.update(i, ious_of(i), seconds=0.5)
    return scores


def bits(scores: ClickScores) -> str:
    names = [f"object {i}" for i in range(7)]
    values = {name: value.hex() for name, value in scores.compute().items()}
    return json.dumps([values, scores.of_objects(), scores.curves(names).to_dict()])


def test_objects_count_once_and_keep_their_names() -> None:
    scores = scored([1, 0, 1], expected=2)
    made = scores.curves(["a", "b"])
    assert list(made.names) == ["a", "b"]
    np.testing.assert_array_equal(made.ious, [ious_of(0)[0], ious_of(1)[0]])
    np.testing.assert_array_equal(made.jittered[1], ious_of(1)[1:])
    assert scores.of_objects()[1]["miou_20_prompt3"] == ious_of(1)[0, -1]
    assert scores.compute() == made.values()
    with pytest.raises(RuntimeError, match="1 different images, expected 2"):
        scored([0], expected=2).compute()


def test_ious_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 18\), expected \(3, 18\)"):
        scored([]).update(0, np.zeros((1, 18), np.float32), 1.0)
    with pytest.raises(ValueError, match="prompt4 counts as more clicks than 3"):
        ClickScores("prompt4", 3)


def _score_shard(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    shard = [[5, 6, 0, 1, 2, 3], [], [4, 5]][rank]  # uneven, one empty, one object twice
    (Path(folder) / f"{rank}.json").write_text(bits(scored(shard, expected=7)))
    dist.destroy_process_group()


# Python 3.12 warns of forks beside threads, which data loaders make too.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.slow
def test_three_processes_give_the_bits_of_one(tmp_path: Path) -> None:
    start_processes(_score_shard, (str(tmp_path),), nprocs=3, start_method="fork")
    written = {path.read_text() for path in tmp_path.glob("*.json")}
    assert written == {bits(scored(list(range(7))))}


def test_iog_s_corrections_have_their_own_numbers() -> None:
    scores = CorrectionScores(clicks=2, expected=3)
    scores.update([[0.86, 0.91, 0.95], [0.5, 0.8, 0.87]], [0, 1])
    scores.update([[0.1, 0.2, 0.3]], [2])
    scores.update([[0.1, 0.2, 0.3]], [2])  # a repeated object counts once
    values = scores.compute()
    assert values["iou_after_0"] == pytest.approx((0.86 + 0.5 + 0.1) / 3)
    assert values["iou_after_2"] == pytest.approx((0.95 + 0.87 + 0.3) / 3)
    assert values.keys() == scores.protocols.keys()
    assert not any(name.startswith("noc") for name in values)


def test_another_number_of_corrections_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\), expected \(1, 3\)"):
        CorrectionScores(clicks=2).update([[0.1, 0.2]], [0])
