"""Where in an epoch a run may be saved or stopped."""

from abc import ABC, abstractmethod
from typing import Any

from lightning import Callback, LightningModule, Trainer


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
