"""The end of a sweep: manifest, table, best command line, exit code; and where it lives."""

import json
from pathlib import Path

import pytest
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from src.sweeps.summary import SweepSummary, summarize, sweep_folder
from src.training.config import save_config
from tests.reporting.run_folders import write_scores


def write_job(
    sweep: Path, name: str, overrides: list[str], score: float | None, metric: str = "max_f"
) -> None:
    save_config(OmegaConf.create({"objective": metric}), sweep / name)
    state = "failed" if score is None else "finished"
    record = {"state": state, "overrides": overrides}
    (sweep / name / "job.json").write_text(json.dumps(record))
    if score is not None:
        write_scores(sweep / name, {"DIS-VD": {metric: score}}, images=470, kind="run")


def test_a_sweep_ends_with_its_table_and_its_best(tmp_path: Path) -> None:
    write_job(tmp_path, "aa", ["data=dis5k", "lr=0.1"], 0.25)
    write_job(tmp_path, "bb", ["data=dis5k", "lr=0.01"], 0.75)
    write_job(tmp_path, "cc", ["data=dis5k", "lr=1e30"], None)
    jobs = summarize(tmp_path)
    assert [job["objective"] for job in jobs.values()] == [0.25, 0.75, None]
    assert json.loads((tmp_path / "manifest.json").read_text()) == jobs
    assert (tmp_path / "summary.md").read_text() == (
        "| method | data | N | max_f |\n"
        "| --- | --- | --- | ---: |\n"
        "| lr=0.01 | DIS-VD | 470 | 0.7500 |\n"
        "| lr=0.1 | DIS-VD | 470 | 0.2500 |\n"
        "| lr=1e30 (failed) | – | 0 | – |\n"
        "\nBest, 0.7500: `python train.py data=dis5k lr=0.01`\n"
    )


def test_the_best_of_an_error_is_the_smallest(tmp_path: Path) -> None:
    write_job(tmp_path, "aa", ["lr=0.1"], 0.25, "mae")
    write_job(tmp_path, "bb", ["lr=0.01"], 0.75, "mae")
    summarize(tmp_path)
    assert "Best, 0.2500: `python train.py lr=0.1`" in (tmp_path / "summary.md").read_text()


def test_a_sweep_without_a_finished_job_has_a_table_without_metrics(tmp_path: Path) -> None:
    write_job(tmp_path, "aa", ["lr=1e30"], None)
    summarize(tmp_path)
    assert (tmp_path / "summary.md").read_text() == (
        "| method | data | N |\n| --- | --- | --- |\n| aa (failed) | – | 0 |\n"
    )


def test_a_job_that_tested_nothing_is_listed(tmp_path: Path) -> None:
    write_job(tmp_path, "aa", ["seed=0"], 0.5)
    (tmp_path / "aa" / "results.json").unlink()
    summarize(tmp_path)
    assert "| aa (not tested) |" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(("score", "code"), [(None, 1), (0.5, None)])
def test_a_sweep_with_a_failed_job_ends_with_code_1(
    tmp_path: Path, score: float | None, code: int | None
) -> None:
    config = OmegaConf.create(
        {
            "name": "x",
            "hydra": {"sweep": {"dir": str(tmp_path)}, "overrides": {"task": [], "hydra": []}},
        }
    )
    summary = SweepSummary()
    summary.on_multirun_start(config)
    write_job(tmp_path, "aa", ["seed=0"], score)
    if code is None:
        summary.on_multirun_end(config)
    else:
        with pytest.raises(SystemExit) as ended:
            summary.on_multirun_end(config)
        assert ended.value.code == code
    assert config.hydra.overrides.hydra == [f"hydra.sweep.dir='{tmp_path}'"]


def test_a_job_that_was_killed_is_interrupted_and_one_that_runs_is_not(tmp_path: Path) -> None:
    write_job(tmp_path, "aa", ["seed=0"], None)
    (tmp_path / "aa" / "job.json").write_text('{"state": "running", "overrides": ["seed=0"]}')
    with FileLock(tmp_path / "aa" / ".lock"):
        assert summarize(tmp_path)["aa"]["state"] == "running"
    assert summarize(tmp_path)["aa"]["state"] == "interrupted"
    assert "(interrupted)" in (tmp_path / "summary.md").read_text()


def of_a_sweep(*task: str, name: str = "u2netp-synthetic") -> DictConfig:
    return OmegaConf.create(
        {
            "name": name,
            "model": {"name": "u2netp"},
            "hydra": {
                "sweep": {"dir": f"logs/sweeps/{name}"},
                "overrides": {"task": list(task)},
                "runtime": {"choices": {"data": "synthetic"}},
            },
        }
    )


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        (of_a_sweep("seed=0,1"), "u2netp-synthetic"),
        (of_a_sweep("model=u2netp,isnet", "seed=0,1"), "u2netp+isnet-synthetic"),
        (of_a_sweep("model=choice(u2netp,isnet)", "data=a,b"), "u2netp+isnet-a+b"),
        (of_a_sweep("model=u2netp,isnet", "name=mine", name="mine"), "mine"),
    ],
)
def test_a_sweep_over_models_is_named_by_all_of_them(config: DictConfig, folder: str) -> None:
    assert sweep_folder(config) == f"logs/sweeps/{folder}"
