"""Early stopping as the models' configs state it."""

from typing import Annotated

from annotated_types import Ge
from lightning.pytorch.callbacks import EarlyStopping


def early_stopping(
    monitor: str, patience: Annotated[int, Ge(1)] | None, threshold: float | None
) -> EarlyStopping | None:
    """Stop after `patience` validations without gain, or at the `threshold`; None: never."""
    if patience is None and threshold is None:
        return None
    return EarlyStopping(
        monitor,
        mode="max",
        patience=patience if patience is not None else 1_000_000_000,
        stopping_threshold=threshold,
        check_on_train_epoch_end=False,
    )
