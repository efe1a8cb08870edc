"""Whether training can go on from a checkpoint: asked before anything of it is taken up."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from src.errors import UserError
from src.training.rendezvous import lost_connection
from src.weights.checkpoint import verify

_SHOWN = 3


def require_resumable(path: Path, trainer: Trainer, module: LightningModule, batch: int) -> None:
    """Refuse a checkpoint that training cannot go on from as if it had not stopped.

    Args:
        path: A checkpoint of the run, whole as a file.
        trainer: Of the run.
        module: Of the run.
        batch: Images of a process and step.

    Raises:
        UserError: It is of another network, lacks or has damaged what training needs, is further
            than the training shall go, or was made with another number of images a step.
    """
    held = verify(path).content
    if not isinstance(held.get("state_dict"), dict):
        raise UserError(f"{path} holds no weights of a run; {_other(path)}")
    _require_weights(path, held["state_dict"], module.state_dict())
    _require_states(path, held)
    _require_length(path, held, trainer)
    made, now = held.get("images_per_step"), images_per_step(trainer, batch)
    if made is not None and made != now:
        raise UserError(
            f"{path} was made with {made} images a step, now it would be {now} ({batch} ×"
            f" {trainer.accumulate_grad_batches} accumulated × {trainer.world_size} processes);"
            " resume with data.batch_size, trainer.accumulate_grad_batches, trainer.devices and"
            f" trainer.num_nodes whose product is {made}"
        )


def images_per_step(trainer: Trainer, batch: int) -> int:
    """Images that one step of the optimizer is of, on all processes together."""
    return batch * int(trainer.accumulate_grad_batches) * trainer.world_size


class _Started(Callback):
    """Notes that all of a checkpoint's state was taken up."""

    def __init__(self) -> None:
        self.started = False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = True


@contextmanager
def unusable_as_user_error(path: Path | None, trainer: Trainer) -> Iterator[None]:
    """Turn what goes wrong while a checkpoint's state is taken up into a UserError."""
    if path is None:
        yield
        return
    mark = _Started()
    trainer.callbacks.append(mark)  # type: ignore[attr-defined]
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        if mark.started or isinstance(error, UserError | torch.OutOfMemoryError):
            raise
        if lost_connection(error):  # which is no fault of the checkpoint's
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: its state cannot be taken up ({reason}); {_other(path)}"
        ) from None
    finally:
        trainer.callbacks.remove(mark)  # type: ignore[attr-defined]


def _require_weights(path: Path, held: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    missing = [name for name in wanted if name not in held]
    unknown = [name for name in held if name not in wanted]
    sizes = [
        f"{name} {tuple(held[name].shape)} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in held and getattr(held[name], "shape", None) != value.shape
    ]
    if missing or unknown or sizes:
        kinds = (("missing", missing), ("unknown", unknown), ("of another size", sizes))
        said = ", ".join(f"{len(n)} {kind} ({_listed(n)})" for kind, n in kinds if n)
        raise UserError(
            f"{path} is a checkpoint of another network than the run's: {said} of {len(wanted)}"
            f" weights; {_other(path)}"
        )


def _require_states(path: Path, held: Mapping[str, Any]) -> None:
    states = held.get("optimizer_states")
    if not (isinstance(states, list) and states and all(isinstance(s, dict) for s in states)):
        raise UserError(f"{path} holds no state of an optimizer; {_other(path)}")
    if not isinstance(held.get("loops"), dict) or not isinstance(held.get("lr_schedulers"), list):
        raise UserError(f"{path} does not hold how far training was; {_other(path)}")


def _require_length(path: Path, held: Mapping[str, Any], trainer: Trainer) -> None:
    try:
        done = int(held["loops"]["fit_loop"]["epoch_progress"]["current"]["completed"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} does not hold how far training was; {_other(path)}") from None
    if trainer.max_epochs is not None and -1 < trainer.max_epochs < done:
        raise UserError(
            f"{path} is {done} epochs far, more than trainer.max_epochs={trainer.max_epochs};"
            f" trainer.max_epochs={done} ends the training there"
        )


def _other(path: Path) -> str:
    return (
        "remove it to go on from the one before, or start a new run from its weights:"
        f" weights={path}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)
