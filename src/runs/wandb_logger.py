"""Weights & Biases beside the CSV log: one run on the page for one run folder, resumed or not."""

import hashlib
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger
from omegaconf import OmegaConf

from .freeze import thaw


class WandbLog(WandbLogger):
    """Lightning's logger, which also knows whether the best checkpoint is to be uploaded.

    Lightning's own `log_model` would refuse to do it offline, where `wandb sync` does it later.
    """

    def __init__(self, artifact: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.artifact = artifact


def wandb_logger(
    folder: str, project: str, group: str, offline: bool, name: str, artifact: bool = False
) -> WandbLog:
    """A logger whose id follows from the folder, so that a resumed run continues its page.

    The page shows the frozen config. W&B itself writes on rank 0 only. `offline` keeps everything
    in the folder until `wandb sync`.
    """
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
