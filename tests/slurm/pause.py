"""A callback that holds a run at a step until the test has done to it what it wants."""

import time
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer


class Pause(Callback):
    """Before the batch after a step, says so by a file `at-<step>` and waits for `go-<step>`.

    Args:
        folder: Of the two files.
        steps: Of the optimizer, at which rank 0 waits and so all do.
    """

    def __init__(self, folder: str, steps: list[int]) -> None:
        self.folder, self.steps = Path(folder), steps

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step in self.steps and trainer.is_global_zero:
            (self.folder / f"at-{step}").touch()
            while not (self.folder / f"go-{step}").exists():
                time.sleep(0.02)


def pauses(folder: Path, *steps: int) -> list[str]:
    """The words of a command that make a run pause at steps."""
    return [
        "+callbacks.pause._target_=tests.slurm.pause.Pause",
        f"+callbacks.pause.folder={folder}",
        f"+callbacks.pause.steps={list(steps)}".replace(" ", ""),
    ]
