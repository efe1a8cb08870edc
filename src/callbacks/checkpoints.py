"""Which checkpoints a run keeps: the newest, the best, and averaged weights."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from src.callbacks.stopping import better
from src.training.between_steps import BetweenSteps
from src.training.preemption import Preempted


class RecentCheckpoints(BetweenSteps):
    """Writes `recent-<step>.ckpt` as time or steps pass, when a run is stopped and at the end.

    Lightning's own ModelCheckpoint saves on any exception, in the middle of a batch too, from
    where training cannot continue bit-equal; this one saves between batches only, and not before
    a validation, but after it.

    Args:
        folder: Of the checkpoints.
        minutes: Time between two checkpoints.
        steps: Optimizer steps between two, instead of minutes; for tests and short runs.
        keep: How many stay: two, so that a damaged one has a predecessor.
    """

    def __init__(
        self,
        folder: str,
        minutes: Annotated[float, Gt(0)] = 10,
        steps: Annotated[int, Ge(1)] | None = None,
        keep: Annotated[int, Ge(1)] = 2,
    ) -> None:
        self.folder, self.minutes, self.steps, self.keep = Path(folder), minutes, steps, keep
        self._saved_at = time.monotonic()
        self._saved_step = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step != self._saved_step:
            self._save(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if isinstance(exception, Preempted) and trainer.training:
            self._save(trainer)

    def between_steps(self, trainer: Trainer) -> None:
        if trainer.global_step != self._saved_step and self._due(trainer):
            self._save(trainer)

    def _due(self, trainer: Trainer) -> bool:
        if self.steps is not None:
            return trainer.global_step - self._saved_step >= self.steps
        # The clocks of the ranks differ; rank 0 decides, and not at every step.
        if trainer.world_size > 1 and trainer.global_step % 20:
            return False
        due = time.monotonic() - self._saved_at > 60 * self.minutes
        return bool(trainer.strategy.broadcast(due))

    def _save(self, trainer: Trainer) -> None:
        self._saved_at, self._saved_step = time.monotonic(), trainer.global_step
        trainer.save_checkpoint(self.folder / f"recent-{trainer.global_step:07d}.ckpt")
        if trainer.is_global_zero:
            # By length first: beyond seven digits names do not sort as numbers do.
            kept = sorted(self.folder.glob("recent-*.ckpt"), key=lambda p: (len(p.name), p.name))
            for old in kept[: -self.keep]:
                old.unlink()


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which forgets its best score when the folder was moved.

    The next validation of a resumed run, however bad, would then replace the best checkpoint. It
    also saves its current score without ever reading it, so that checkpoints of a resumed run
    lacked it until the next validation.

    Args:
        monitor: What chooses, `val/max_f`.
        mode: Whether the largest or the smallest value is the best; None: as its metric says.
        **more: Of Lightning's class.
    """

    def __init__(
        self, monitor: str, mode: Literal["max", "min"] | None = None, **more: Any
    ) -> None:
        super().__init__(monitor=monitor, mode=mode or better(monitor), **more)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, its paths put into this folder."""
        super().load_state_dict(_moved(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))
        self.current_score = state_dict.get("current_score")


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(inner, old, new) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith(old):
        return new + value.removeprefix(old)
    return value


def ema(decay: Annotated[float, Gt(0), Lt(1)] | None) -> EMAWeightAveraging | None:
    """Average with this decay a step; None: no averaging."""
    return None if decay is None else EMAWeightAveraging(decay=decay)
