"""Ends training early: without progress, at a threshold, or at a loss that is not finite."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor
from torch.optim import Optimizer

from src.datamodules.batch import Batch
from src.errors import UserError
from src.metrics import higher_is_better


def better(monitor: str) -> Literal["max", "min"]:
    """Which values of a logged number are the better ones, `val/mae`; of losses the small ones."""
    name = monitor.rpartition("/")[2]
    return "max" if higher_is_better(name) and not name.endswith("loss") else "min"


class ResumableStopping(EarlyStopping):
    """Lightning's EarlyStopping, whose patience is the config's when a run is resumed.

    Lightning takes the patience from the checkpoint, so that a new one had no effect; and a run
    that it had stopped trained on until the next validation when it was resumed.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was counted; the patience stays what it was made with."""
        super().load_state_dict({**state_dict, "patience": self.patience})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        reached = self.stopping_threshold is not None and bool(
            self.monitor_op(self.best_score, self.stopping_threshold)
        )
        if self.wait_count >= max(1, self.patience) or reached:
            trainer.should_stop = True


def early_stopping(
    monitor: str, patience: Annotated[int, Ge(1)] | None, threshold: float | None
) -> ResumableStopping | None:
    """Stop after `patience` validations without gain, or at the `threshold`; None: never."""
    if patience is None and threshold is None:
        return None
    return ResumableStopping(
        monitor,
        mode=better(monitor),
        patience=patience if patience is not None else 1_000_000_000,
        stopping_threshold=threshold,
        check_on_train_epoch_end=False,
    )


class NonFiniteLossError(UserError):
    """The loss became NaN or infinite."""


class NonFiniteGuard(Callback):
    """Checks each loss before the optimizer steps; saves the batch and names its images.

    The loss is copied to the host while the backward pass runs, so that the check costs a GPU no
    wait.

    Args:
        folder: Where `non_finite_batch.pt` is written.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self._batches: list[Batch] = []
        self._losses: list[Tensor] = []
        self._event: torch.cuda.Event | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._batches.append(batch)

    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        self._losses.append(loss.detach().to("cpu", non_blocking=True))
        if loss.is_cuda:
            self._event = torch.cuda.Event()
            self._event.record()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if self._event is not None:
            self._event.synchronize()
        for loss, batch in zip(self._losses, self._batches, strict=True):
            if not torch.isfinite(loss):
                raise NonFiniteLossError(self._report(trainer, loss, batch))
        self._losses, self._batches = [], []

    def _report(self, trainer: Trainer, loss: Tensor, batch: Batch) -> str:
        path = self.folder / f"non_finite_batch_rank{trainer.global_rank}.pt"
        plain: dict[str, Any] = {
            key: value.cpu() if isinstance(value, Tensor) else value for key, value in batch.items()
        }
        torch.save(plain, path)
        return (
            f"the loss is {loss.item()} at step {trainer.global_step} "
            f"(epoch {trainer.current_epoch}); images: {', '.join(batch['name'])}. "
            f"The batch is saved in {path}. Try a lower learning rate, trainer.precision=32-true, "
            "or look at these images; resume= continues from the last checkpoint."
        )
