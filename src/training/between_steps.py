"""Saves and stops a run between two steps only, on all ranks, when a signal asked any of them."""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.distributed
from lightning import Callback, LightningModule, Trainer

from src.training import preemption


class BetweenSteps(Callback, ABC):
    """Acts after a training step, or after the validation that follows it, never in between."""

    @abstractmethod
    def between_steps(self, trainer: Trainer) -> None:
        """Called after batches, also those that only accumulate, and again at an epoch's end."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if not validation_follows(trainer, batch_idx):
            self.between_steps(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.between_steps(trainer)


def validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation or the end of the epoch comes right after this batch.

    Lightning leaves that validation out when it resumes from a checkpoint written between the two
    (seen in 2.6): the best checkpoint and early stopping would never know of it.
    """
    loop = trainer.fit_loop
    if loop.epoch_loop.batch_progress.is_last_batch:
        return True
    count = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    every = trainer.val_check_batch
    return every is not None and (count + 1) % every == 0


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
        preemption.install_handlers()  # Lightning has put its own in their place
        preemption.delay_signals(True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        preemption.delay_signals(False)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        preemption.install_handlers()

    def between_steps(self, trainer: Trainer) -> None:
        if trainer.global_step == self._step:
            return  # gradients of half a step are in no checkpoint
        self._step = trainer.global_step
        if number := self._agreed():
            preemption.stop_for_signal(number)

    def _agreed(self) -> int:
        """The signal that any rank received."""
        number = torch.tensor(preemption.pending_signal())
        if self._ranks is not None:
            torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX, group=self._ranks)
        return int(number)
