"""Batches of many sizes, late changes of the loss and new backgrounds: exact over a resume."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from src.errors import CommandError
from src.settings.training import parse_training
from src.training.config import images_at_once
from src.training.run import Run, train
from tests.running import TINY

WORDS = [
    *TINY,
    "data=synthetic",
    "data.lengths={train: 4, val: 1, test: 1}",
    "data.size=48",
    "model.epochs=2",
    "trainer.num_sanity_val_steps=0",
    "test=false",
    "callbacks.gallery=null",
    "callbacks.recent.steps=1",
    "callbacks.recent.keep=100",
    "multiscale=[32,[64,32]]",
    "late_losses={epochs: 1, weights: {side_outputs: [2, 0.25]}}",
    "backgrounds.share=0.5",
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("varied") / "whole"
    return train([*WORDS, f"hydra.run.dir={folder}"])


def newest(folder: Path) -> Path:
    return sorted((folder / "checkpoints").glob("recent-*.ckpt"))[-1]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_weight_changes_at_exactly_that_epoch_and_is_logged(whole: Run) -> None:
    steps = [row for row in rows(whole.folder) if row["train/loss"]]
    assert [float(row["train/side_outputs_weight"]) for row in steps] == [2, 2, 0.25, 0.25]
    losses = [float(row["train/side_outputs"]) for row in steps]
    # Of a network that has hardly learned, the loss itself stays about what it was.
    assert losses[2] < 0.25 * losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3], ids=["before the change", "behind it"])
def test_a_resume_in_mid_epoch_is_exact(whole: Run, tmp_path: Path, step: int) -> None:
    folder = tmp_path / "stopped"
    shutil.copytree(whole.folder, folder)
    for path in (folder / "checkpoints").glob("recent-*.ckpt"):
        if int(path.stem.split("-")[1]) > step:
            path.unlink()
    train([f"resume={folder}"])
    ours, theirs = (
        torch.load(newest(run), weights_only=True)["state_dict"] for run in (folder, whole.folder)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert rows(folder) == rows(whole.folder)


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("multiscale", [64, 70], "multiples of 32"),
        ("multiscale", "64", "a range such as"),
        ("data.cache", "ram", "keeps samples of one size"),
        ("compile", True, "compiles the network for one size"),
        ("late_losses.weights", {"bce": [1.0, 0.0]}, "names bce; .* are side_outputs"),
        ("late_losses.weights", {"side_outputs": 0}, "no loss term in the last epochs"),
        ("late_losses.weights", {"side_outputs": [0, 1]}, "no loss term before"),
        ("late_losses.weights", {"side_outputs": -1}, "numbers from 0"),
        ("late_losses.weights", {}, "numbers from 0"),
        ("late_losses.epochs", 5, "the training has 2"),
        ("trainer.max_steps", 5, "counts epochs from the end"),
        ("backgrounds.share", 1.5, "backgrounds.share"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    whole: Run, key: str, value: object, complaint: str
) -> None:
    cfg = OmegaConf.load(whole.folder / "config.yaml")
    assert OmegaConf.is_dict(cfg)
    if key == "data.cache":
        cfg.data[key.partition(".")[2]] = value
    else:
        OmegaConf.update(cfg, key, value, merge=False)
    with pytest.raises(CommandError, match=complaint):
        parse_training(cfg)  # type: ignore[arg-type]


def test_a_memory_preset_makes_room_for_the_largest_size() -> None:
    assert images_at_once(8, 512, 2) == 8
    assert images_at_once(8, 512, 2, "256-1024") == 2
    assert images_at_once(8, 512, 2, [256, [1024, 512]]) == 4
    assert images_at_once(8, 512, 2, "what the settings refuse") == 8
