"""Early stopping as the models' configs state it."""

from typing import Annotated, Any

from annotated_types import Ge
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping


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
        if self.wait_count >= self.patience or reached:
            trainer.should_stop = True


def early_stopping(
    monitor: str, patience: Annotated[int, Ge(1)] | None, threshold: float | None
) -> ResumableStopping | None:
    """Stop after `patience` validations without gain, or at the `threshold`; None: never."""
    if patience is None and threshold is None:
        return None
    return ResumableStopping(
        monitor,
        mode="max",
        patience=patience if patience is not None else 1_000_000_000,
        stopping_threshold=threshold,
        check_on_train_epoch_end=False,
    )
