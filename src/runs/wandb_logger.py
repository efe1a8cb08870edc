"""Weights & Biases beside the CSV log: one run on the page for one run folder, resumed or not."""

import hashlib
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import OmegaConf

from src.errors import UserError

from .freeze import thaw

_ADVICE = (
    "Log in with `wandb login`, set WANDB_API_KEY, or keep it on this machine with "
    "logger.wandb.offline=true"
)
_WITHOUT_KEY = {"offline", "dryrun", "disabled"}  # values of WANDB_MODE


class WandbLog(WandbLogger):
    """Lightning's logger, which also knows whether the best checkpoint is to be uploaded.

    Lightning's own `log_model` would refuse to do it offline, where `wandb sync` does it later.
    """

    def __init__(self, artifact: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.artifact = artifact

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of W&B, which is begun when it is first asked for.

        Raises:
            UserError: W&B cannot begin it.
        """
        from wandb.errors import Error

        try:
            return super().experiment
        except (Error, TimeoutError) as error:
            raise UserError(f"Weights & Biases: {str(error).rstrip('.')}. {_ADVICE}") from error


def wandb_logger(
    folder: str, project: str, group: str, offline: bool, name: str, artifact: bool = False
) -> WandbLog:
    """A logger whose id follows from the folder, so that a resumed run continues its page.

    The page shows the frozen config. W&B itself writes on rank 0 only. `offline` keeps everything
    in the folder until `wandb sync`.

    Raises:
        UserError: Nobody is logged in.
    """
    if not offline and rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        _refuse_strangers()
    return WandbLog(
        artifact,
        save_dir=folder,
        project=project,
        group=group,
        name=name,
        config=OmegaConf.to_container(thaw(Path(folder), located=False), resolve=True),
        id=hashlib.sha256(str(Path(folder).absolute()).encode()).hexdigest()[:12],
        offline=offline,
        resume="allow",
    )


def _refuse_strangers() -> None:
    """Ask for a key before anything is trained, not when the first number is sent."""
    if os.environ.get("WANDB_MODE", "").lower() in _WITHOUT_KEY:
        return
    import wandb
    from wandb.errors import Error

    try:
        try:
            known = wandb.login(prompt=False)
        except TypeError:  # older ones ask on the terminal
            known = wandb.api.api_key is not None
    except (Error, ValueError) as error:
        raise UserError(f"Weights & Biases: {str(error).rstrip('.')}. {_ADVICE}") from None
    if not known:
        raise UserError(f"logger=wandb, but no key of Weights & Biases is known. {_ADVICE}")
