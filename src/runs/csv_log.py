"""The CSV log of a run, continued where the run is."""

import csv
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from . import checkpoints


class CSVLog(CSVLogger):
    """`metrics.csv` in the run's folder; Lightning's own would be emptied by a resumed run.

    Rows after the checkpoint that the run continues from are left out: they come again.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder, name="", version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            path = Path(self.log_dir) / ExperimentWriter.NAME_METRICS_FILE
            kept = _rows_until(path, _step(Path(self.log_dir)))
            self._experiment = ExperimentWriter(log_dir=self.log_dir)
            if kept:
                self._experiment.metrics_keys = list(kept[0])
                with path.open("w", newline="") as file:
                    writer = csv.DictWriter(file, fieldnames=list(kept[0]))
                    writer.writeheader()
                    writer.writerows(kept)
        return self._experiment


def _step(folder: Path) -> int:
    """The step that a run continues from; -1 where it starts."""
    newest = checkpoints.latest(folder)
    return -1 if newest is None else checkpoints.step(newest)


def _rows_until(path: Path, step: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if int(row["step"]) <= step]
