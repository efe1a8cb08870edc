"""Sends Weights & Biases what a run wrote: its results, a row for each image, its checkpoint."""

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from src.runs import checkpoints
from src.runs.results import PER_IMAGE, RESULTS
from src.runs.wandb_logger import WandbLog


class WandbResults(Callback):
    """After the test, makes the page's summary say what `results.json` says, to the last digit.

    It reads the files of the run, so it comes after `ResultWriter`. Without W&B it does nothing.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logger = _logger(trainer)
        if logger is None or not logger.artifact:
            return
        import wandb

        run: Any = logger.experiment
        path = checkpoints.best(self.folder)
        name = re.sub(r"[^\w.-]", "-", f"{run.group or run.project}-{run.id}")
        checkpoint = wandb.Artifact(name, type="model", metadata={"step": trainer.global_step})
        checkpoint.add_file(str(path))
        run.log_artifact(checkpoint, aliases=["best"])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logger = _logger(trainer)
        if logger is None:
            return
        import wandb

        run: Any = logger.experiment
        for name, rows in self._per_image().items():
            table = wandb.Table(columns=[*rows[0]], data=[[*row.values()] for row in rows])
            run.log({f"per_image/{name}": table})
        results = json.loads((self.folder / RESULTS).read_text())
        # Lightning has logged the same names in single precision.
        run.summary.update(
            {f"test/{name}/{m}": v for name, values in results.items() for m, v in values.items()}
        )

    def _per_image(self) -> dict[str, list[dict[str, Any]]]:
        """The lines of `per_image.csv` by test set, numbers as numbers."""
        by_set: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with (self.folder / PER_IMAGE).open(newline="") as file:
            for row in csv.DictReader(file):
                name, image = row.pop("set"), row.pop("name")
                values = {metric: float(value) for metric, value in row.items()}
                by_set[name].append({"name": image, **values})
        return by_set


def _logger(trainer: Trainer) -> WandbLog | None:
    """The one that writes; None without W&B and on all processes but the first."""
    if not trainer.is_global_zero:
        return None
    return next((logger for logger in trainer.loggers if isinstance(logger, WandbLog)), None)
