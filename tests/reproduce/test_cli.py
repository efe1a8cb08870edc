"""`make reproduce`: what it plans, what it says, where it continues, and the miniature."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from src.cli import main as finecut
from src.errors import UserError
from src.reporting.cli import settings
from src.reproduce import cli
from src.reproduce.cli import CONFIG, SWEEPS, Reproduction, begun, main, planned, unfinished
from src.settings.commands import ReproduceSettings
from src.settings.parse import parse
from src.sweeps import jobs
from tests.in_process import carry_out, finish
from tests.running import ROOT, run


def plan(*words: str) -> Reproduction:
    return planned(parse(ReproduceSettings, settings(CONFIG, words)))


def record(recipe: str, job: str, state: str, *overrides: str) -> None:
    folder = SWEEPS / recipe / job
    folder.mkdir(parents=True)
    entry = {"state": state, "overrides": [f"experiment={recipe}", *overrides]}
    (folder / "job.json").write_text(json.dumps(entry))


def test_a_plan(tmp_path: Path) -> None:
    made = plan(
        "experiment=u2net/u2net,u2net/u2netp",
        "seeds=0,1",
        f"data.root={tmp_path}",
        "train=trainer.devices=4 'metrics.test=[mae, max_f]'",
    )
    assert made.recipes == ["u2net/u2net", "u2net/u2netp"]
    assert made.seeds == [0, 1]
    assert made.overrides == [
        f"data.root={tmp_path}",
        "trainer.devices=4",
        "metrics.test=[mae, max_f]",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "experiment= is missing"),
        (["experiment=isnet/absent"], "no recipe 'isnet/absent'; there are .*isnet/dis5k"),
        (["experiment=isnet/dis5k", "seeds=a"], "whole numbers"),
        (["experiment=isnet/dis5k", "train=model.sise=3"], "model.sise"),
        (["experiment=isnet/dis5k", "gpus=3"], "the keys are experiment, seeds"),
    ],
)
def test_mistakes_are_found_before_anything_starts(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(*words)


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert finecut(["reproduce", "experiment=isnet/absent"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_finished_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Reproduction(["isnet/dis5k"], [0, 1], ["data.x=[1, 2]"])
    assert not begun(asked)
    record("isnet/dis5k", "a", "finished", "seed=0", "data.x=[1,2]")
    record("isnet/dis5k", "b", "failed", "seed=1", "data.x=[1,2]")
    record("isnet/dis5k", "c", "finished", "seed=1")  # of other settings
    assert begun(asked)
    assert unfinished(asked) == ["isnet/dis5k seed=1"]


def test_faulty_data_stops_it_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "train", lambda words: pytest.fail("it trained"))
    words = ["experiment=u2net/u2netp", f"data.root={tmp_path}", f"output={tmp_path}/out"]
    monkeypatch.chdir(tmp_path)  # main changes it
    with pytest.raises(UserError, match="the data of u2net/u2netp has"):
        main(words)
    said = capsys.readouterr()
    assert said.out.index("GPU hours (estimate): 13") < said.out.index("=== data")
    assert "DUTS-TR" in said.out


TABLE_SUFFIXES = (".md", ".tex", ".csv", ".html", ".png")
SYSTEMS = ("isnet", "u2netp", "inspyrenet", "birefnet", "dextr", "iog", "iog_refine")


def miniature(folder: Path, recipes: str, seeds: str, here: bool = False) -> dict[str, bytes]:
    """The tables of `make reproduce-mini OUT=folder`, for some of its recipes and seeds.

    here: In this process, instead of one for the command, each call of train.py and each job.
    """
    given = [f"experiment={recipes}", f"seeds={seeds}", f"output={folder}"]
    words = ["-m", "src", "reproduce", *given, "at_once=2", "measure=false"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setenv("GIT_DIR", str(folder / "nowhere"))  # a commit between two calls is no matter
        patch.delenv("FINECUT_CACHE", raising=False)
        if here:

            def train_all(calls: Mapping[str, Sequence[str]], *_: object) -> None:
                for call in calls.values():
                    assert carry_out(["train.py", *call], patch) == 0

            patch.setattr(cli, "side_by_side", train_all)
            patch.setattr(jobs, "run_child", lambda command, _: carry_out(command[1:], patch))
            finish(words, ROOT)
        else:
            run("-m", words[1:], ROOT)
    place = folder / "tables" / (recipes if "/" in recipes else "")  # a single recipe has its own
    return {
        path.name: path.read_bytes() for path in place.iterdir() if path.suffix in TABLE_SUFFIXES
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_miniature_gives_the_same_table_twice(tmp_path: Path) -> None:
    """One system, with clicks, in processes of its own; again elsewhere, beside all the others."""
    first, second = tmp_path / "first", tmp_path / "elsewhere" / "second"
    tables = miniature(first, "miniature/iog_refine", "0,1")
    assert {Path(name).suffix for name in tables} == set(TABLE_SUFFIXES)
    text = tables["table.md"].decode()
    (origin,) = (line for line in text.splitlines() if line.startswith("- miniature/iog_refine:"))
    seeds = [part.split() for part in origin.split("weights: ")[1].split(", ")]
    assert [words[:2] for words in seeds] == [["seed", "0"], ["seed", "1"]]
    assert seeds[0][2] != seeds[1][2]

    text = miniature(second, "miniature", "0", here=True)["table.md"].decode()
    assert all(f"miniature/{system} " in text for system in SYSTEMS)
    jobs = sorted((second / "logs" / "sweeps").rglob("results.json"))
    times = [path.stat().st_mtime_ns for path in jobs]
    assert len(jobs) == len(SYSTEMS)
    assert (second / "logs" / "teachers").is_dir()
    assert miniature(second, "miniature/iog_refine", "0,1", here=True) == tables
    assert [path.stat().st_mtime_ns for path in jobs] == times, "seed 0 was done before"
