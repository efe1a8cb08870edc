"""A job of a sweep: carried out once, its failure recorded, its interruption passed on."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from src.sweeps import jobs
from src.sweeps.jobs import run_job
from src.training import preemption
from src.training.config import config_hash
from tests.reporting.run_folders import write_scores


def config(**values: Any) -> DictConfig:
    base = {"objective": "max_f", "test": True, "metrics": {"test": ["max_f", "mae"]}}
    return OmegaConf.create({**base, **values})


class Child:
    """Stands in for the process of a job, which leaves results where it succeeds."""

    def __init__(self, code: int = 0) -> None:
        self.code, self.calls = code, 0

    def __call__(self, command: list[str], output: Path) -> int:
        self.calls += 1
        output.write_text("starting\nerror: the loss is nan\n")
        if self.code == 0:
            results = {"A": {"max_f": 0.5}, "B": {"max_f": 0.7}}
            write_scores(output.parent, results, kind="run")
        return self.code


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    stand_in = Child()
    monkeypatch.setattr(jobs, "run_child", stand_in)
    return stand_in


def job(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*/job.json")
    return json.loads(path.read_text())


def test_a_job_returns_the_mean_of_its_objective_and_is_done_once(
    child: Child, tmp_path: Path
) -> None:
    assert run_job(config(), tmp_path, ["seed=0"]) == pytest.approx(0.6)
    assert job(tmp_path)["state"] == "finished"
    assert run_job(config(), tmp_path, ["seed=0"]) == pytest.approx(0.6)
    assert child.calls == 1


def test_a_failure_is_recorded_with_its_reason_and_tried_again(
    child: Child, tmp_path: Path
) -> None:
    child.code = 1
    assert run_job(config(), tmp_path, ["seed=0"]) is None
    assert (job(tmp_path)["state"], job(tmp_path)["error"]) == ("failed", "error: the loss is nan")
    child.code = 0
    assert run_job(config(), tmp_path, ["seed=0"]) is not None
    assert (child.calls, job(tmp_path)["state"]) == (2, "finished")


def test_an_interrupted_job_ends_the_sweep_and_is_not_finished(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.code = preemption.EXIT_CODE
    monkeypatch.setattr(preemption._Notice, "received", int(signal.SIGTERM))
    monkeypatch.setattr(signal, "raise_signal", lambda number: None)
    with pytest.raises(preemption.Preempted):
        run_job(config(), tmp_path, [])
    assert job(tmp_path)["state"] == "interrupted"


def test_a_requeued_job_keeps_its_folder_and_its_config(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.code = preemption.EXIT_CODE
    run_job(config(), tmp_path, ["seed=0"])
    (before,) = tmp_path.glob("*/config.yaml")
    text = before.read_text()
    child.code = 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    changed = config(gallery=True)  # a yaml file that changed meanwhile
    assert run_job(changed, tmp_path, ["seed=0"]) is not None
    assert job(tmp_path)["state"] == "finished"
    assert before.read_text() == text


def test_a_job_that_another_worker_has_is_left_to_it(child: Child, tmp_path: Path) -> None:
    folder = tmp_path / config_hash(config())
    folder.mkdir()
    with FileLock(folder / ".lock"):
        assert run_job(config(), tmp_path, []) is None
    assert child.calls == 0


def test_a_job_without_a_config_does_not_stop_the_others(child: Child, tmp_path: Path) -> None:
    assert run_job(config(root="???"), tmp_path, ["data=dis5k"]) is None
    assert job(tmp_path)["state"] == "failed"
    assert "root" in job(tmp_path)["error"]
    assert child.calls == 0


@pytest.mark.parametrize("values", [{"objective": "s_measure"}, {"test": False}])
def test_a_search_without_its_objective_does_not_start(
    child: Child, tmp_path: Path, values: dict[str, Any]
) -> None:
    assert run_job(config(sweep={"trials": 2}, **values), tmp_path, []) is None
    assert "a search needs test=true and an objective among" in job(tmp_path)["error"]
    assert child.calls == 0
