"""Writes the results of a test, and hands them to the run's trackers."""

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
from src.training.loggers import trackers_of


class ResultWriter(Callback):
    """Turns the test's scores into the files of `src.results` and the table `results.md`.

    Nobody else writes these files, and the run's trackers are told what they say. Where the run is
    a fine-tuning one, its report closes the table, and is the whole of it where nothing was tested.

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
        for tracker in trackers_of(trainer) if trainer.is_global_zero else ():
            if tracker.artifact:
                tracker.log_checkpoint(checkpoints.best(self.folder), trainer.global_step)

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
        if trackers := trackers_of(trainer):  # the files are whole, whatever a server answers
            results = read_results_folder(self.folder)
            for tracker in trackers:
                tracker.log_results(results, self.folder, trainer.global_step)


def _finetuning_report(trainer: Trainer) -> str:
    """The section of a fine-tuning run's report; empty for other runs."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    reports = [one for one in callbacks if isinstance(one, FineTuningReport) and one.rows]
    return reports[0].section() if reports else ""
