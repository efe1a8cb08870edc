"""The four commands of the drill, on images of a few pixels, and how a user continues each."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from src.weights.loading import create, to_official
from tests.metrics.numbered_pairs import make_pair
from tests.running import TINY, folder_data, write_pairs

from .processes import Command

# Long enough to be killed a dozen times. A checkpoint each step gives the killer its clock.
TRAINING = [*TINY, "model.epochs=6", "callbacks.recent.steps=1"]


@dataclass(frozen=True)
class Case:
    """A command, the one that continues it, and the folder that shall hold the same in the end.

    pace: Changes of files in the folder until a kill, at most.
    """

    first: Command
    again: Command
    folder: Path
    pace: int


def data(folder: Path, maps: int = 60, image_files: int = 60) -> Path:
    """A root with training and test images, maps with their targets, photos and weights."""
    write_pairs(folder / "train", 10, seed=1)
    write_pairs(folder / "test", 7, seed=2)
    write_maps(folder, maps)
    write_pairs(folder / "pictures", image_files, seed=3)
    torch.manual_seed(0)
    torch.save(to_official(create("u2netp")), folder / "u2netp.pth")
    return folder


def write_maps(folder: Path, count: int) -> None:
    """Maps and targets that take a moment each to score."""
    (folder / "maps").mkdir()
    (folder / "truth").mkdir()
    for i in range(count):
        prediction, target = make_pair(i)
        cv2.imwrite(str(folder / "maps" / f"{i:03d}.png"), prediction)
        cv2.imwrite(str(folder / "truth" / f"{i:03d}.png"), target)


def train(root: Path, cwd: Path, *words: str) -> Case:
    """`train.py`, continued by `resume=`."""
    folder = cwd / "run"
    first = (*TRAINING, *folder_data(root), "name=drill", f"hydra.run.dir={folder}", *words)
    return Case(
        Command("train.py", first, cwd),
        Command("train.py", (f"resume={folder}",), cwd),
        folder,
        pace=6,
    )


def sweep(root: Path, cwd: Path, *words: str, seeds: str = "0,1") -> Case:
    """`train.py -m` over seeds, continued by itself."""
    folder = cwd / "sweep"
    command = Command(
        "train.py",
        (
            "-m", *TRAINING, *folder_data(root), "name=drill", f"seed={seeds}",
            "model.epochs=3", f"hydra.sweep.dir={folder}", *words,
        ),
        cwd,
    )  # fmt: skip
    return Case(command, command, folder, pace=6)


def evaluate(root: Path, cwd: Path, *words: str) -> Case:
    """`evaluate.py maps=` with every metric, continued by itself."""
    folder = cwd / "scores"
    maps, target = root / "maps", root / "truth"
    command = Command(
        "evaluate.py", (f"maps={maps}", f"ground_truth={target}", f"output={folder}", *words), cwd
    )
    return Case(command, command, folder, pace=8)


def predict(root: Path, cwd: Path, *words: str) -> Case:
    """`predict.py` with `skip_existing=true`, which is how its interrupted call goes on."""
    folder = cwd / "masks"
    command = Command(
        "predict.py",
        (
            "model=u2netp", "model.size=32", f"weights={root / 'u2netp.pth'}", "device=cpu",
            f"input={root / 'pictures' / 'images'}", f"output={folder}", "type=[mask,rgba]",
            "skip_existing=true", *words,
        ),
        cwd,
    )  # fmt: skip
    return Case(command, command, folder, pace=20)
