"""`recipe=finetune` as a user runs it: untouched weights first, both data sets after each epoch."""

import csv
import json
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.errors import UserError
from src.training import finetune
from src.training.config import register
from src.weights.loading import create, to_official
from tests.running import ROOT, TINY, folder_data, only_run, run

RECIPE = ["recipe=finetune", "data@base=synthetic", "base.num_workers=0"]


def composed(*overrides: str) -> DictConfig:
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return compose("train", ["recipe=finetune", *overrides])


def validations(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["val/max_f"]]


@pytest.mark.slow
def test_the_untouched_weights_are_scored_once_whatever_is_resumed(
    root: Path, tmp_path: Path
) -> None:
    """On two processes; 10 new images and 2 of the base make three steps of 2 × 2 an epoch."""
    torch.manual_seed(0)
    torch.save(to_official(create("u2netp")), tmp_path / "u2netp.pth")
    command = [
        *TINY,
        *folder_data(root),
        *RECIPE,
        "base.lengths={train: 6, val: 3, test: 2}",
        f"weights={tmp_path}/u2netp.pth",
        "trainer.devices=2",
        "model.epochs=1",
        "test=false",
    ]
    first = run("train.py", command, tmp_path)
    assert first.count("untouched weights: val mae") == 1
    folder = only_run(tmp_path / "logs")
    before = validations(folder)
    assert [row["step"] for row in before] == ["0", "2"]
    assert all(row["base/max_f"] for row in before)
    assert "| untouched weights | base | 3 |" in (folder / "results.md").read_text()

    again = run("train.py", [f"resume={folder}", "trainer.max_epochs=2", "test=true"], tmp_path)
    assert "untouched weights: val mae" not in again
    assert "entries loaded" in first
    assert "entries loaded" not in again, "its own checkpoint takes the place of the first weights"
    after = validations(folder)
    assert [row["step"] for row in after] == ["0", "2", "5"]
    assert after[:2] == before or all(
        after[i][key] == before[i][key] for i in (0, 1) for key in ("val/max_f", "base/max_f")
    )
    table = (folder / "results.md").read_text()
    assert table.startswith("| method | data | N |")
    assert table.count("| untouched weights | val | 7 |") == 1
    assert f"{float(before[0]['val/mae']):.4f}" in table
    assert "| last, step 6 | base | 3 |" in table or "| best, step 6 | base | 3 |" in table
    data = json.loads((folder / "provenance.json").read_text())["data"]
    assert {"train", "val", "base/train", "base/val"} <= set(data)


def test_a_mistake_in_the_base_data_is_said_to_be_there() -> None:
    cfg = composed("weights=x", "data@base=folder", "base.root=/nowhere")
    cfg.base.train = {"images": "i", "masks": "m"}
    with pytest.raises(UserError, match=r"base data \(set as base\.…\)"):
        finetune.base_data(cfg)


def test_base_data_needs_the_recipe() -> None:
    with (
        pytest.raises(Exception, match="data@base"),
        initialize_config_dir(str(ROOT / "conf"), version_base=None),
    ):
        compose("train", ["data@base=synthetic"])
