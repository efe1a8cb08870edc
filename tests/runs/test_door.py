"""Folders of runs, and what may be changed when one is resumed."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.errors import UserError
from src.runs.door import _amend, run_folder
from src.runs.freeze import freeze, thaw


def frozen(folder: Path) -> None:
    freeze(OmegaConf.create({"folder": "<run>", "trainer": {"max_epochs": 2}}), folder)


def test_resuming_goes_back_to_the_folder() -> None:
    assert run_folder("logs/x", "logs/name") == "logs/x"


def test_new_runs_get_their_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    assert run_folder(None, "logs/name").startswith("logs/name/20")


def test_ranks_started_by_slurm_or_torchrun_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "abc")
    assert run_folder(None, "logs/name") == "logs/name/torchrun-abc"
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert run_folder(None, "logs/name") == "logs/name/slurm-17"


def test_a_value_may_change_on_resume(tmp_path: Path) -> None:
    frozen(tmp_path)
    _amend(tmp_path, ["trainer.max_epochs=5"])
    assert thaw(tmp_path).trainer.max_epochs == 5


@pytest.mark.parametrize("override", ["trainer=default", "trainer.typo=1"])
def test_groups_and_unknown_keys_may_not(tmp_path: Path, override: str) -> None:
    frozen(tmp_path)
    with pytest.raises(UserError, match="resume"):
        _amend(tmp_path, [override])
