"""Sweeps as a user starts them: side by side, searched, continued. SLURM: slurm/test_sweeps.py."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from src.training.config import register
from tests import postgres
from tests.in_process import finish
from tests.running import TINY, folder_data, run, start
from tests.test_configs import CONF, choices


@pytest.mark.parametrize("launcher", choices("launcher"))
def test_every_launcher_composes_with_a_search(launcher: str) -> None:
    register()
    chosen = ["sweep=optuna", f"launcher={launcher}", "trainer.devices=2"]
    with initialize_config_dir(str(CONF), version_base=None):
        hydra = compose("train", chosen, return_hydra_config=True).hydra
        assert hydra.sweeper._target_ == "hydra_plugins.finecut_optuna.OptunaSweeper"
        assert hydra.sweeper.trials == 20
        assert launcher in hydra.launcher._target_.lower()
        if launcher == "slurm":
            assert hydra.launcher.gpus_per_node == 2
            assert hydra.launcher.tasks_per_node == 1  # a job starts its ranks itself


@pytest.mark.slow
def test_a_search_side_by_side(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    search = [
        "-m",
        *TINY,
        *folder_data(root),
        "model.epochs=4",
        "name=shared",
        "sweep=optuna",
        "sweep.trials=2",
        "sweep.at_once=2",
        "launcher=joblib",
        "optimizer.lr=tag(log,interval(1e-4,1e-2))",
    ]
    output = run("train.py", search, tmp_path)
    assert "study shared: 2 complete of 2 trials" in output
    sweep = tmp_path / "logs/sweeps/shared"
    jobs = json.loads((sweep / "manifest.json").read_text())
    assert [job["state"] for job in jobs.values()] == ["finished"] * 2
    best = max(job["objective"] for job in jobs.values())
    summary = (sweep / "summary.md").read_text()
    assert f"Best, {best:.4f}: `python train.py " in summary
    assert "sweep" not in summary.split("Best")[1]

    capfd.readouterr()
    finish(["train.py", *search], tmp_path)  # the study has all its trials
    again = "".join(capfd.readouterr())
    assert "study shared: 2 complete of 2 trials" in again
    assert "Launching" not in again


@pytest.mark.slow
def test_a_search_outlives_its_worker_and_its_server(root: Path, tmp_path: Path) -> None:
    """The worker is killed in training; the server dies while another carries the trial out."""
    sweep = tmp_path / "logs/sweeps/kept"
    with postgres.started() as server:
        search = [
            *("-m", *TINY, *folder_data(root), "name=kept", "sweep=optuna", "sweep.trials=1"),
            *(f"sweep.storage={server.url()}", "optimizer.lr=tag(log,interval(1e-4,1e-2))"),
            *("model.epochs=4", "callbacks.recent.steps=1"),
        ]
        killed = start("train.py", search, tmp_path)
        _, folder = wait_for_training(sweep, set(), killed)
        killed.kill()
        killed.communicate()
        other = start("train.py", search, tmp_path)
        wait_until(lambda: job(folder)["pid"] == other.pid, other)
        server.die()
        wait_until(lambda: job(folder)["state"] == "finished", other)
        server.come_back()
        output = other.communicate(timeout=280)[0]
    assert other.returncode == 0, output
    assert "Trying again for up to 600 s" in output
    assert "study kept: 1 complete of 1 trials" in output
    assert list(sweep.glob("*/job.json")) == [folder / "job.json"], "with the same settings"
    said = [path for path in sweep.rglob("*") if path.is_file() and b"cr%40t" in path.read_bytes()]
    assert not said, "no file keeps the password"


def job(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "job.json").read_text())


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not holds():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_training(
    sweep: Path, before: set[str], process: subprocess.Popen[str]
) -> tuple[int, Path]:
    """The process of a new job that has saved a checkpoint, and its folder."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        for path in sweep.glob("*/checkpoints/recent-*.ckpt"):
            folder = path.parents[1]
            if folder.name not in before:
                return json.loads((folder / "job.json").read_text())["pid"], folder
        time.sleep(0.02)
    raise AssertionError("no job saved a checkpoint")
