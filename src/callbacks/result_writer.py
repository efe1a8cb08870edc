"""Writes the tables of a test, and sends them to Weights & Biases."""

import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from src.atomic import atomic_write
from src.callbacks.baselines import score_baselines
from src.datamodules.batch import Batch
from src.training import checkpoints, provenance, results
from src.training.loggers import WandbLog
from src.training.results import PER_IMAGE, RESULTS


class ResultWriter(Callback):
    """Turns the test's scores into `results.json`, `per_image.csv`, `curves.json` and `results.md`.

    Args:
        folder: Of the run.
        method: What the table calls this run.
        baselines: Score methods that learn nothing in the same table, see `baselines.py`.
    """

    def __init__(self, folder: str, method: str, baselines: bool = False) -> None:
        self.folder, self.method, self.baselines = Path(folder), method, baselines
        self._names: dict[str, dict[int, str]] = defaultdict(dict)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        name = trainer.datamodule.test_names[dataloader_idx]  # type: ignore[attr-defined]
        self._names[name] |= dict(zip(batch["index"].tolist(), batch["name"], strict=True))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: Any = pl_module
        tables = {name: module.test_values(name) for name in module.test_scores}
        rows = self._per_image(module)
        curves = {name: scores.mean_curves() for name, scores in module.test_scores.items()}
        if not trainer.is_global_zero:
            return
        counts = {name: sum(row["set"] == name for row in rows) for name in tables}
        results.write_results(self.folder, tables)
        results.write_per_image(self.folder, rows)
        atomic_write(self.folder / "curves.json", json.dumps(curves) + "\n")
        table = [(self.method, name, counts[name], values) for name, values in tables.items()]
        if self.baselines:
            datamodule = trainer.datamodule  # type: ignore[attr-defined]
            table += score_baselines(datamodule, module.processor.size, module.test_metrics)
        protocol = {metric: module.protocol(metric) for metric in next(iter(tables.values()))}
        note = "\n".join(f"- {metric}: {text}" for metric, text in protocol.items())
        atomic_write(self.folder / results.TABLE, results.markdown(table, note))
        files = results.digests(self.folder)
        provenance.write(self.folder, protocol=protocol, images=counts, files=files)
        print(f"\n{results.markdown(table)}")

    def _per_image(self, module: Any) -> list[dict[str, Any]]:
        names = _gathered(self._names)
        return [
            {"set": test, "name": names[test][int(row.pop("index"))], **row}
            for test in module.test_scores
            for row in module.per_image(test)
        ]


def _gathered(names: dict[str, dict[int, str]]) -> dict[str, dict[int, str]]:
    """The names that all processes have seen."""
    if not (dist.is_available() and dist.is_initialized()):
        return names
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, dict(names))
    joined: dict[str, dict[int, str]] = defaultdict(dict)
    for part in parts:
        for test, seen in part.items():
            joined[test] |= seen
    return joined


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
