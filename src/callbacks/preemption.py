"""Stops training between two steps on all ranks, when a signal asked any of them to."""

from typing import Any

import torch
import torch.distributed
from lightning import LightningModule, Trainer

from src.runs import preemption

from .between_steps import BetweenSteps


class StopBetweenSteps(BetweenSteps):
    """Raises `Preempted` after the step in which SIGTERM, SIGUSR1 or SIGUSR2 came.

    Lightning's own handlers talk to the other ranks or save from within the handler, in the middle
    of a step; these only take note, and the ranks agree after the step, on the CPU, so that no GPU
    waits. `RecentCheckpoints` saves. A validation that is under way or comes next is finished
    first.
    """

    def __init__(self) -> None:
        self._ranks: Any = None
        self._step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = trainer.global_step
        if trainer.world_size > 1:
            self._ranks = torch.distributed.new_group(backend="gloo")
        preemption.watch()  # Lightning has put its own in their place
        preemption.defer(True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        preemption.defer(False)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        preemption.watch()

    def between_steps(self, trainer: Trainer) -> None:
        if trainer.global_step == self._step:
            return  # gradients of half a step are in no checkpoint
        self._step = trainer.global_step
        if number := self._agreed():
            preemption.stop(number)

    def _agreed(self) -> int:
        """The signal that any rank received."""
        number = torch.tensor(preemption.received())
        if self._ranks is not None:
            torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX, group=self._ranks)
        return int(number)
