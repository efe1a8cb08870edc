"""Writes the results of a test, and sends them to Weights & Biases."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from src.atomic import atomic_write
from src.callbacks.baselines import score_baselines
from src.callbacks.finetuning_report import FineTuningReport
from src.results import table
from src.results.folder import read_results_folder
from src.results.schema import TABLE, Kind
from src.results.write import SetResults, write_results_folder
from src.training import checkpoints
from src.training.loggers import WandbLog


class ResultWriter(Callback):
    """Turns the test's scores into the files of `src.results` and the table `results.md`.

    Nobody else writes these files. Where the run is a fine-tuning one, its report closes the table,
    and is the whole of it where nothing was tested.

    Args:
        folder: Of the run.
        method: What the table calls this run.
        baselines: Score methods that learn nothing in the same table, see `baselines.py`.
    """

    def __init__(self, folder: str, method: str, baselines: bool = False) -> None:
        self.folder, self.method, self.baselines = Path(folder), method, baselines
        self._kind: Kind = "checkpoint"
        self._names: dict[str, Sequence[str]] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._kind = "run"

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and (report := _finetuning_report(trainer)):
            atomic_write(self.folder / TABLE, report)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # By index, which every process knows of all images. Asked for before anything is scored.
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        self._names = {name: datamodule.image_names(name) for name in datamodule.test_names}

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        module: Any = pl_module
        sets = {
            name: SetResults(
                module.tested_values[name],
                [self._names[name][index] for index in images],
                list(images.values()),
            )
            for name, images in module.tested_images.items()
        }
        protocol = {m: module.protocol(m) for m in next(iter(sets.values())).values}
        write_results_folder(
            self.folder, sets, kind=self._kind, method=self.method, protocol=protocol
        )
        rows = [(self.method, name, len(one.images), one.values) for name, one in sets.items()]
        if self.baselines:
            datamodule = trainer.datamodule  # type: ignore[attr-defined]
            rows += score_baselines(datamodule, module.processor.size, module.test_metrics)
        note = "\n".join(f"- {metric}: {text}" for metric, text in protocol.items())
        parts = [table.markdown(rows, note), _finetuning_report(trainer)]
        atomic_write(self.folder / TABLE, "\n".join(part for part in parts if part))
        print(f"\n{table.markdown(rows)}")


def _finetuning_report(trainer: Trainer) -> str:
    """The section of a fine-tuning run's report; empty for other runs."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    reports = [one for one in callbacks if isinstance(one, FineTuningReport) and one.rows]
    return reports[0].section() if reports else ""


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
        results = read_results_folder(self.folder)
        for name, images in results.per_image.items():
            rows = zip(images.names, *(v.tolist() for v in images.values.values()), strict=True)
            table = wandb.Table(columns=["name", *images.values], data=[[*row] for row in rows])
            run.log({f"per_image/{name}": table})
        # Lightning has logged the same names in single precision.
        for name, values in results.values.items():
            defined = {metric: None if math.isnan(v) else v for metric, v in values.items()}
            run.summary.update({f"test/{name}/{metric}": v for metric, v in defined.items()})


def _logger(trainer: Trainer) -> WandbLog | None:
    """The one that writes; None without W&B and on all processes but the first."""
    if not trainer.is_global_zero:
        return None
    return next((logger for logger in trainer.loggers if isinstance(logger, WandbLog)), None)
