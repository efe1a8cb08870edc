"""What makes a row unfit or doubtful is said beside it."""

from pathlib import Path
from typing import Any

import pytest

from src.reporting.groups import group
from src.reporting.runs import collect
from src.reporting.warnings import RowWarnings
from src.weights.registry import released
from tests.reporting.run_folders import write_run

SCORES = {"ECSSD": {"max_f": 0.9}}


def remarks(root: Path, test_set: str = "ECSSD") -> list[str]:
    groups = group(collect([root], means={"both": ["ECSSD", "SOD"]}))
    return RowWarnings(groups).of(groups[0], test_set)


def test_a_clean_run_has_none(tmp_path: Path) -> None:
    write_run(tmp_path / "a", SCORES)
    assert remarks(tmp_path) == []


def test_training_on_the_test_set(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {**SCORES, "SOD": {"max_f": 0.8}}, train=["DUTS-TR", "ECSSD"])
    assert remarks(tmp_path) == ["contaminated: it was trained on ECSSD"]
    assert remarks(tmp_path, "SOD") == []
    assert remarks(tmp_path, "both") == ["contaminated: it was trained on ECSSD"]


@pytest.mark.parametrize(
    ("path", "fit", "said"),
    [
        (
            "ckpt_base.pth",
            False,
            ["contaminated: inspyrenet_swinb_plus_ultra was trained on ECSSD"],
        ),
        ("Plus_Ultra", True, ["contaminated: inspyrenet_swinb_plus_ultra was trained on ECSSD"]),
        ("u2net.pth", False, []),
        ("isnet-general-use.pth", False, ["it is not known what isnet-general-use was trained on"]),
        ("own.pth", False, ["it is not known what own.pth was trained on"]),
    ],
)
def test_weights_that_have_seen_it(tmp_path: Path, path: str, fit: bool, said: list[str]) -> None:
    write_run(tmp_path / "a", SCORES, config={"fit": fit, "weights": f"weights/{path}"})
    assert remarks(tmp_path) == said


def test_renamed_weights_are_known_by_their_hash(tmp_path: Path) -> None:
    weights = {"weights": released()["inspyrenet_swinb_dis5k"].sha256}
    config = {"fit": False, "weights": "latest.pth"}
    write_run(tmp_path / "a", {"DIS-TR": {"max_f": 0.9}}, config=config, weights=weights)
    assert remarks(tmp_path, "DIS-TR") == ["contaminated: latest.pth was trained on DIS-TR"]


@pytest.mark.parametrize(
    ("train", "said"),
    [(["ECSSD"], ["contaminated: first/best.ckpt was trained on ECSSD"]), (["DUTS-TR"], [])],
)
def test_a_checkpoint_of_ours_brings_its_history(
    tmp_path: Path, train: list[str], said: list[str]
) -> None:
    first = write_run(tmp_path / "before" / "first", SCORES, train=train)
    config = {"fit": False, "weights": str(first / "checkpoints" / "best.ckpt")}
    write_run(tmp_path / "now", SCORES, config=config)
    assert remarks(tmp_path / "now") == said


def test_the_same_files_are_known_under_another_name(tmp_path: Path) -> None:
    data = {
        "train": {"sets": ["mine"], "sha256": "a"},
        "val": {"sets": ["held out"], "sha256": "b"},
        "test/ECSSD": {"sets": ["objects"], "sha256": "b"},
    }
    write_run(tmp_path / "chosen", SCORES, data=data)
    assert "the checkpoint was chosen by its score on ECSSD" in remarks(tmp_path)
    write_run(tmp_path / "chosen", SCORES, data={**data, "train": data["test/ECSSD"]})
    assert "contaminated: it was trained on the files of ECSSD" in remarks(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": {"ECSSD": 1}}, ["missing images: 1 of 2 (seed 0)"]),
        ({"val": ["ECSSD"]}, ["the checkpoint was chosen by its score on ECSSD"]),
        (
            {"git": {"commit": "a", "dirty": True}},
            ["dirty git: the code had uncommitted changes"],
        ),
        ({"git": {"commit": None, "dirty": None}}, ["the state of the code is not known"]),
    ],
)
def test_remarks_on_one_run(tmp_path: Path, changes: dict[str, Any], said: list[str]) -> None:
    write_run(tmp_path / "a", SCORES, **changes)
    assert remarks(tmp_path) == said


def test_remarks_on_seeds(tmp_path: Path) -> None:
    write_run(tmp_path / "a0", SCORES, name="a", seed=0)
    write_run(tmp_path / "a1", {"SOD": {}}, name="a", seed=1, git={"commit": "x", "dirty": False})
    write_run(tmp_path / "b", SCORES, name="b", seed=7)
    said = remarks(tmp_path)
    assert "seed 1 was not tested on ECSSD" in said
    assert "missing seeds: 7" in said
    assert "the seeds ran on different commits" in said


def test_rows_tested_on_other_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        data = {"test/ECSSD": {"count": 2, "sha256": name}}
        write_run(tmp_path / name, SCORES, name=name, data=data)
    assert remarks(tmp_path) == ["not every row was tested on the same files of ECSSD"]


def test_tested_weights_have_no_seeds_to_miss(tmp_path: Path) -> None:
    write_run(tmp_path / "a", SCORES, config={"fit": False, "weights": "u2net.pth"}, name="a")
    write_run(tmp_path / "b", SCORES, name="b", seed=1)
    assert remarks(tmp_path) == []
