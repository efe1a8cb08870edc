"""Sweeps as a user starts them: side by side and searched. On SLURM: slurm/test_sweeps.py."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from src.training.config import register
from tests.in_process import finish
from tests.running import TINY, folder_data, run
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
