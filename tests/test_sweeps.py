"""Sweeps as a user starts them: side by side, searched, on SLURM, interrupted, continued."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from src.training.config import register
from tests import slurm
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


@pytest.fixture(scope="module")
def command(root: Path) -> list[str]:
    return [
        "-m",
        *TINY,
        *folder_data(root),
        "model.epochs=4",
        "callbacks.recent.steps=3",
        "name=shared",
    ]


@pytest.fixture(scope="module")
def cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both sweeps run, so that the second finds what the first finished."""
    return tmp_path_factory.mktemp("sweeps")


def manifest(cwd: Path) -> dict[str, dict[str, Any]]:
    return json.loads((cwd / "logs/sweeps/shared/manifest.json").read_text())


@pytest.mark.slow
def test_a_search_side_by_side(
    command: list[str], cwd: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    search = [
        *command,
        "sweep=optuna",
        "sweep.trials=2",
        "sweep.at_once=2",
        "launcher=joblib",
        "optimizer.lr=tag(log,interval(1e-4,1e-2))",
    ]
    output = run("train.py", search, cwd)
    assert "study shared: 2 complete of 2 trials" in output
    jobs = manifest(cwd)
    assert [job["state"] for job in jobs.values()] == ["finished"] * 2
    best = max(job["objective"] for job in jobs.values())
    summary = (cwd / "logs/sweeps/shared/summary.md").read_text()
    assert f"Best, {best:.4f}: `python train.py " in summary
    assert "sweep" not in summary.split("Best")[1]
    assert (cwd / "logs/sweeps/shared/summary.md").is_file()

    capfd.readouterr()
    finish(["train.py", *search], cwd)  # the study has all its trials
    again = "".join(capfd.readouterr())
    assert "study shared: 2 complete of 2 trials" in again
    assert "Launching" not in again


@pytest.mark.slow
def test_slurm_finishes_what_it_interrupts_and_skips_what_is_finished(
    command: list[str], cwd: Path
) -> None:
    """A task of the array gets submitit's signal in training; another was trained before."""
    if not (cwd / "logs").exists():
        pytest.skip("continues the search's sweep")
    before = manifest(cwd)
    (lr,) = [word for word in next(iter(before.values()))["overrides"] if ".lr=" in word]
    environment = slurm.install(cwd / "slurm")
    sweep = start("train.py", [*command, "launcher=slurm", lr, "seed=0,1"], cwd, **environment)
    process, folder = wait_for_training(cwd / "logs/sweeps/shared", set(before), sweep)
    os.kill(process, signal.SIGUSR2)
    output = sweep.communicate(timeout=280)[0]

    assert sweep.returncode == 0, output
    jobs = manifest(cwd)
    assert len(jobs) == 3, "seed=0 is the search's"
    assert jobs[folder.name]["state"] == "finished"
    assert "stopped by a signal" in (folder / "job.log").read_text()
    assert (cwd / "slurm" / "requeued").read_text() == "1000_1\n"
    assert "#SBATCH --signal=USR2@180" in (cwd / "slurm" / "script").read_text()
    assert (cwd / "slurm" / "log").read_text().count("finished before") == 1


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
