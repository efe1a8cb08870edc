"""Weights & Biases beside the CSV log: one run on the page for one run folder, resumed or not."""

import hashlib
from pathlib import Path

from lightning.pytorch.loggers import WandbLogger


def wandb_logger(folder: str, project: str, group: str, offline: bool, name: str) -> WandbLogger:
    """A logger whose id follows from the folder, so that a resumed run continues its page.

    W&B itself writes on rank 0 only. `offline` keeps everything in the folder until `wandb sync`.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    return WandbLogger(
        save_dir=folder,
        project=project,
        group=group,
        name=name,
        id=hashlib.sha256(str(Path(folder).absolute()).encode()).hexdigest()[:12],
        offline=offline,
        resume="allow",
    )
