"""Which arguments of Lightning's Trainer `trainer.…` may set, and which a run sets itself."""

import difflib
import inspect
from collections.abc import Iterable
from functools import cache

from omegaconf import DictConfig

from src.command_line import TRAINER as DEFAULT
from src.errors import UserError

# What a run sets itself, and what of ours to use instead.
_SAMPLERS = "the samplers here divide the images themselves, each counted once"
_OURS = {
    "val_check_interval": "validate_every=STEPS counts the steps between two validations; null"
    " validates after every epoch",
    "check_val_every_n_epoch": "validate_every=STEPS counts the steps between two validations;"
    " null validates after every epoch",
    "logger": "logger=csv, logger=wandb, or logger.NAME=… adds one",
    "callbacks": "callbacks.NAME=… sets, adds or (null) removes one",
    "plugins": "checkpoints are written whole or not at all, through a plugin of the run's own",
    "default_root_dir": "hydra.run.dir=FOLDER chooses the run's folder",
    "enable_checkpointing": "callbacks.recent.minutes=… and callbacks.best=… choose what is saved",
    "enable_progress_bar": "callbacks.progress=null leaves the bar out",
    "barebones": "it would leave out checkpoints, logs and results",
    "fast_dev_run": "debug=fast runs two batches of everything, dry_run=true measures a step",
}


def require_known(trainer: DictConfig) -> None:
    """Refuse a key under `trainer` that would have no effect.

    Raises:
        UserError: Lightning has no such argument, or the run sets it itself; with what to do.
    """
    if trainer.get("use_distributed_sampler"):
        raise UserError(f"trainer.use_distributed_sampler=true: {_SAMPLERS}")
    for key in map(str, trainer):
        if key in _OURS:
            raise UserError(f"trainer.{key} is the run's own: {_OURS[key]}")
        if key not in DEFAULT and key not in arguments():
            raise UserError(
                f"trainer.{key} is no argument of lightning.Trainer{like(key, arguments())}"
            )


@cache
def arguments() -> frozenset[str]:
    """Names of the Trainer's arguments."""
    import lightning  # takes seconds; the keys of most commands are known without

    return frozenset(inspect.signature(lightning.Trainer).parameters)


def like(key: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, if anything known is close."""
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
