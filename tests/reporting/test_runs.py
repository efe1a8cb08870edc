"""Finished runs are found and read; what they say of themselves, and what they do not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.plain_data import read_json
from src.reporting.runs import Run, belongs, collect
from src.results.schema import DataPart
from src.weights.registry import released
from tests.reporting.run_folders import write_run, write_scores

SCORES = {"SOD": {"mae": 0.1, "max_f": 0.8}}


def run(folder: Path, tables: Any = SCORES, means: Any = None, **more: Any) -> Run:
    return Run(write_run(folder / "run", tables, **more), means or {})


def test_only_finished_runs_of_the_experiment_are_collected(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}})
    write_run(tmp_path / "b", {"DIS-TE1": {"max_f": 0.2}}, name="other")
    write_run(tmp_path / "c", {"DIS-TE1": {"max_f": 0.3}}, finished=False)
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "results.json").write_text("{}")  # of evaluate.py maps=
    assert [run.folder.name for run in collect([tmp_path])] == ["a", "b"]
    assert [run.folder.name for run in collect([tmp_path], "other")] == ["b"]
    with pytest.raises(UserError, match="no finished run of third"):
        collect([tmp_path], "third")


def test_a_run_that_is_not_finished_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(tmp_path / "a", SCORES)
    write_run(tmp_path / "b", SCORES, finished=False)
    collect([tmp_path])
    assert f"passed over {tmp_path / 'b'}: it is not finished" in caplog.text


def test_folders_within_each_other_give_a_run_once(tmp_path: Path) -> None:
    write_run(tmp_path / "x" / "a", SCORES)
    assert len(collect([tmp_path, tmp_path / "x", str(tmp_path / "x" / "a")])) == 1


def test_bad_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*absent"):
        collect([tmp_path / "absent"])
    folder = write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}})
    (folder / "results.json").write_text('{"DIS-')
    with pytest.raises(UserError, match=r"a/results\.json is damaged"):
        collect([tmp_path])


@pytest.mark.parametrize(
    ("name", "asked", "is_of"),
    [
        ("isnet/dis5k", "isnet/dis5k", True),
        ("isnet/dis5k", "isnet", True),
        ("isnet2/dis5k", "isnet", False),
        ("isnet", "isnet/dis5k", False),
    ],
)
def test_a_paper_has_its_recipes(name: str, asked: str, is_of: bool) -> None:
    assert belongs(name, asked) is is_of


@pytest.mark.parametrize("text", ["[1]", "7", "null"])
def test_json_that_is_no_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"results\.json is no JSON object; test the run again"):
        read_json(path, "test the run again")


def test_what_a_run_says_of_itself(tmp_path: Path) -> None:
    found = run(tmp_path, seed=3, images={"SOD": 2})
    assert (found.name, found.printed_as) == ("isnet/dis5k", "isnet/dis5k")
    assert (found.scored.kind, found.scored.method, found.is_maps) == ("run", "isnet", False)
    assert (found.seed, found.trained, found.dirty) == (3, True, False)
    assert (found.weights, found.weights_name) == (None, None)
    assert found.results == SCORES
    assert found.images("SOD") == found.expected_images("SOD") == 2
    assert found.images("ECSSD") == 0
    assert found.expected_images("ECSSD") is None


def test_old_runs_that_say_less_can_be_read(tmp_path: Path) -> None:
    found = run(tmp_path, git={}, data={}, protocol={})
    assert found.dirty is None
    assert (found.sets("train"), found.protocol) == ((), {})
    assert found.fingerprint("train") == DataPart()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"weights/{released()['u2net'].file}", "u2net"),
        ("weights/mine.pth", "mine.pth"),
        ("logs/2026-01-01/checkpoints/best.ckpt", "2026-01-01/best.ckpt"),
    ],
)
def test_weights_are_named_as_people_know_them(tmp_path: Path, path: str, name: str) -> None:
    found = run(tmp_path, config={"weights": path})
    assert (found.weights, found.weights_name) == (path, name)


def test_the_key_is_of_what_was_trained(tmp_path: Path) -> None:
    def key(folder: str, **more: Any) -> Any:
        return run(tmp_path / folder, **more).key

    first = key("first")
    same = [
        key("seed", seed=9),
        key("tested on", tables={"ECSSD": {"mae": 0.1}}),
        key("place", config={"data": {"root": "elsewhere"}}),
        key("measured", config={"metrics": {"test": ["mae"]}, "objective": "mae"}),
    ]
    other = [
        key("name", name="other"),
        key("model", model="u2net"),
        key("size", config={"model": {"size": 128}}),
        key("weights", config={"weights": "u2net.pth"}),
    ]
    assert {*same} == {first}
    assert len({first, *other}) == 5


@pytest.mark.parametrize("fit", [True, False])
def test_weights_are_part_of_the_recipe(tmp_path: Path, fit: bool) -> None:
    first, second = (
        run(tmp_path / path, config={"fit": fit, "weights": f"{path}/best.ckpt"}).key
        for path in ("a", "b")
    )
    assert first != second


def test_a_mean_over_sets_needs_all_of_them(tmp_path: Path) -> None:
    tables = {"A": {"mae": 0.1, "hce": 10.0}, "B": {"mae": 0.3}}
    found = run(tmp_path, tables, {"A+B": ["A", "B"], "A+C": ["A", "C"]}, expected=None)
    assert found.results["A+B"] == {"mae": pytest.approx(0.2)}
    assert "A+C" not in found.results
    assert found.images("A+B") == 4
    assert found.expected_images("A+B") is None


def test_expected_images_are_the_configs_else_the_files(tmp_path: Path) -> None:
    data = {"test/SOD": {"count": 300}}
    assert run(tmp_path / "a", data=data).expected_images("SOD") == 2
    assert run(tmp_path / "b", data=data, expected=None).expected_images("SOD") == 300


def test_sets_count_what_fine_tuning_mixed_in(tmp_path: Path) -> None:
    data = {"train": {"sets": ["new", "both"]}, "base/train": {"sets": ["old", "both"]}}
    found = run(tmp_path, data=data)
    assert found.sets("train") == ("new", "both", "old")
    assert found.sets("val") == ()


def test_scored_maps_and_checkpoints_are_collected_beside_runs(tmp_path: Path) -> None:
    write_run(tmp_path / "a", SCORES)
    tested = {"fit": False, "weights": "weights/own.pth"}
    write_run(tmp_path / "b", SCORES, config=tested)
    write_scores(tmp_path / "c", SCORES, method="Amulet", partial={"SOD": "2 of 5"})
    found = collect([tmp_path])
    assert [one.scored.kind for one in found] == ["run", "checkpoint", "maps"]
    assert (found[2].name, found[2].trained, found[2].weights_name) == ("Amulet", False, None)
    assert (found[2].images("SOD"), found[2].expected_images("SOD")) == (2, 5)
    assert [one.name for one in collect([tmp_path], "Amulet")] == ["Amulet"]


def test_a_metric_that_is_undefined_on_a_set_is_left_out(tmp_path: Path) -> None:
    found = run(tmp_path, {"SOD": {"mae": 0.1, "mba": math.nan}})
    assert found.results == {"SOD": {"mae": 0.1}}


def test_a_folder_that_was_moved_is_still_the_run(tmp_path: Path) -> None:
    found = run(tmp_path)
    moved = found.folder.rename(tmp_path / "moved")
    assert Run(moved, {}).key == found.key
    assert json.loads((moved / "results.json").read_text()) == found.results
