"""Folders of runs, and what may be changed when one is resumed."""

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from src.errors import CommandError, UserError
from src.training.cli import save_or_continue
from src.training.config import load_config, run_folder

FROM_OUTSIDE = (
    *("SLURM_JOB_ID", "SLURM_PROCID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "WORLD_SIZE", "NODE_RANK"),
)


@pytest.fixture(autouse=True)
def nobody_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FROM_OUTSIDE:
        monkeypatch.delenv(name, raising=False)


def test_resuming_goes_back_to_the_folder() -> None:
    assert run_folder("logs/x", "logs/name") == "logs/x"


def test_new_runs_get_their_own_folder() -> None:
    assert run_folder(None, "logs/name").startswith("logs/name/20")


def test_ranks_started_by_slurm_or_torchrun_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "abc")
    assert run_folder(None, "logs/name") == "logs/name/torchrun-abc"
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert run_folder(None, "logs/name") == "logs/name/slurm-17"


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "2"), ("NODE_RANK", "0")])
def test_ranks_without_a_name_in_common_are_told_to_give_one(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=r"--rdzv-id=NAME, or all of them hydra.run.dir="):
        run_folder(None, "logs/name")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run's folder with a checkpoint in it."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "recent-0000010.ckpt").touch()
    return tmp_path


def settings(**values: object) -> DictConfig:
    return OmegaConf.create({"fit": True, "lr": 1e-4, "logger": None, **values})


def test_the_same_command_continues_a_run_and_another_is_refused(trained: Path) -> None:
    save_or_continue(settings(), trained)
    save_or_continue(settings(logger="wandb"), trained)  # only where it is watched
    assert load_config(trained).logger == "wandb"
    with pytest.raises(UserError, match="holds a run with other settings; continue that one"):
        save_or_continue(settings(lr=2e-4), trained)
    assert load_config(trained).lr == 1e-4


@pytest.mark.parametrize("name", ["SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"])
def test_a_requeued_run_goes_on_as_it_was_frozen(
    trained: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    save_or_continue(settings(), trained)
    monkeypatch.setenv(name, "1")
    save_or_continue(settings(lr=2e-4), trained)  # a yaml file changed meanwhile
    assert load_config(trained).lr == 1e-4


def test_a_run_that_failed_before_training_may_be_started_otherwise(tmp_path: Path) -> None:
    save_or_continue(settings(), tmp_path)
    save_or_continue(settings(lr=2e-4), tmp_path)
    assert load_config(tmp_path).lr == 2e-4


def test_an_evaluation_may_be_made_again_in_its_folder(trained: Path) -> None:
    save_or_continue(settings(fit=False), trained)
    save_or_continue(settings(fit=False, lr=0), trained)
    assert load_config(trained).lr == 0
