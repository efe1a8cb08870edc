"""A job's output is kept and shown, its environment is its own, and its result is one number."""

import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from src import processes
from src.sweeps.jobs import objective
from src.training import child
from src.training.child import run_child
from src.training.config import save_config
from tests.reporting.run_folders import write_scores


class Process:
    """Stands in for a child process that has said `said` and ended with `code`."""

    def __init__(self, said: bytes, code: int) -> None:
        self.stdout, self.code = io.BufferedReader(io.BytesIO(said)), code  # type: ignore[arg-type]
        self.command: list[str] = []
        self.options: dict[str, Any] = {}

    def __call__(self, command: list[str], **options: Any) -> "Process":
        self.command, self.options = command, options
        return self

    def wait(self) -> int:
        return self.code


def started(monkeypatch: pytest.MonkeyPatch, said: bytes = b"", code: int = 0) -> Process:
    process = Process(said, code)
    monkeypatch.setattr(subprocess, "Popen", process)
    return process


def test_what_a_job_says_is_kept_behind_what_stood_there_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "output.log"
    output.write_bytes(b"before\n")
    process = started(monkeypatch, b"epoch 1\xff\nerror: x\n", code=3)
    assert run_child(["train", "seed=1"], output) == 3
    assert process.command == ["train", "seed=1"]
    assert output.read_bytes() == b"before\nepoch 1\xff\nerror: x\n"
    assert capsys.readouterr().out == "epoch 1\N{REPLACEMENT CHARACTER}\nerror: x\n"


def test_a_job_does_not_take_itself_for_a_task_of_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("MY_SLURM", "kept")
    process = started(monkeypatch)
    run_child(["train"], tmp_path / "output.log")
    assert not [name for name in process.options["env"] if name.startswith("SLURM_")]
    assert process.options["env"]["MY_SLURM"] == "kept"
    assert process.options["preexec_fn"] is child.die_with_parent
    assert process.options["stderr"] == subprocess.STDOUT


def finished(folder: Path, results: Any, name: str = "max_f") -> Path:
    save_config(OmegaConf.create({"objective": name}), folder)
    return write_scores(folder, results, kind="run")


def test_a_sweep_maximises_the_mean_over_the_sets_that_have_the_measure(tmp_path: Path) -> None:
    results = {"A": {"max_f": 0.5}, "B": {"max_f": 0.7, "mae": 0.1}, "C": {"mae": 0.9}}
    assert objective(finished(tmp_path, results)) == pytest.approx(0.6)


def test_sets_on_which_the_measure_is_undefined_do_not_count(tmp_path: Path) -> None:
    results = {"A": {"max_f": 0.5}, "B": {"max_f": math.nan}}
    assert objective(finished(tmp_path, results)) == 0.5


def test_damaged_results_are_no_objective_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (finished(tmp_path, {"A": {"max_f": 0.5}}) / "results.json").write_text('{"A": {"max_f": 0.9}}')
    assert objective(tmp_path) is None
    assert "was changed since it was written" in caplog.text
    assert "remove results.json and job.json: the job is then done again" in caplog.text


def test_a_job_without_results_has_no_objective(tmp_path: Path) -> None:
    assert objective(tmp_path) is None


def test_a_measure_that_was_not_computed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert objective(finished(tmp_path, {"A": {"mae": 0.1}}, "s_measure")) is None
    assert "objective=s_measure is no metric of" in caplog.text


def test_only_linux_is_asked_to_end_orphans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(processes.ctypes, "CDLL", None)  # calling it would be an error
    assert processes.die_with_parent() is None  # type: ignore[func-returns-value]
