"""Where a run's numbers go while it trains: `metrics.csv`, and beside it what `logger=` names.

The trackers: Weights & Biases here, TensorBoard in `tensorboard_log.py`, MLflow in `mlflow_log.py`.
"""

import csv
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import OmegaConf

from src.atomic import atomic_write
from src.errors import UserError
from src.hashing import bytes_hash
from src.render import data_csv
from src.results.folder import ResultsFolder
from src.training.config import load_config

LogRow = dict[str, Any]

METRICS = "metrics.csv"
_STEP = "step"
_ADVICE = (
    "Log in with `wandb login`, set WANDB_API_KEY, or keep it on this machine with "
    "logger.wandb.offline=true"
)
_WITHOUT_KEY = {"offline", "dryrun", "disabled"}  # values of WANDB_MODE


class CSVLog(Logger):
    """One row for each call of the trainer, in the file at once.

    Lightning's CSVLogger deletes the file when a run is resumed, and loses up to a hundred rows
    when it is killed. Here all rows stay, except those that the resumed run writes again.

    Args:
        folder: Of the run.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / METRICS
        self._columns: list[str] = []
        self._start: int | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @property
    @rank_zero_experiment
    def experiment(self) -> None:
        """There is no object behind this log."""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: they are in `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row; of a row that is there already, by its step and columns, the new one stays."""
        step = 0 if step is None else step
        row = {**metrics, _STEP: step}
        if self._start is None:
            self._start = step
        if step == self._start or not set(row) <= set(self._columns):
            rows = [old for old in read_rows(self.path) if not _is_redone(old, row)]
            self._columns = sorted(set(self._columns).union(row, *rows))
            atomic_write(self.path, data_csv(self._columns, [*rows, row]))
        else:
            with self.path.open("a", newline="") as file:
                file.write(data_csv(self._columns, [row], head=False))


def read_rows(path: Path) -> list[LogRow]:
    """The filled cells of each row; a line that a full disk cut short is left out.

    Raises:
        UserError: Another line is damaged.
    """
    if not path.is_file():
        return []
    rows: list[LogRow] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [line for line in file if line.endswith("\n")]
        for row in csv.DictReader(lines):
            if None in row or int(row[_STEP]) < 0:
                raise ValueError("it has more cells than the first line, or a step below 0")
            rows.append({key: cell for key, cell in row.items() if cell})
    except (ValueError, KeyError, TypeError, csv.Error, OSError) as error:
        raise UserError(
            f"{path} is damaged in line {len(rows) + 2} ({type(error).__name__}: {error}); remove"
            " that line, or move the file away: the log then starts anew"
        ) from None
    return rows


def _is_redone(old: LogRow, row: LogRow) -> bool:
    """Whether a row of before the resume is written again, now or later."""
    step = int(old[_STEP])
    return step > row[_STEP] or (step == row[_STEP] and old.keys() == row.keys())


class Tracker(ABC):
    """What a logger takes beside numbers: images, the scores of a test, the best checkpoint.

    The callbacks call these on the process that writes, after the files in the run's folder are
    whole. A tracker does what it can hold, and nothing for the rest.
    """

    artifact = False  # whether the best checkpoint is wanted

    @abstractmethod
    def log_sheet(self, name: str, sheet: np.ndarray, path: Path, step: int) -> None:
        """Show a gallery.

        Args:
            name: What it is of: `val`, `base` or `test`.
            sheet: uint8 RGB `(h, w, 3)`.
            path: The same as a PNG in the run's folder.
            step: Of the optimizer.
        """

    @abstractmethod
    def log_checkpoint(self, path: Path, step: int) -> None:
        """Keep the best checkpoint; called where `artifact` is set."""

    @abstractmethod
    def log_results(self, results: ResultsFolder, folder: Path, step: int) -> None:
        """Show a test's scores as the files of `folder` hold them.

        Lightning has logged the sets' values before, under the same names in single precision.
        """


def trackers_of(trainer: Trainer) -> list[Tracker]:
    """The trackers among a run's loggers."""
    return [logger for logger in trainer.loggers if isinstance(logger, Tracker)]


def result_values(results: ResultsFolder) -> dict[str, float | None]:
    """The scores of all test sets, by the names that Lightning logs them under; None: undefined."""
    return {
        f"test/{name}/{metric}": None if math.isnan(value) else value
        for name, values in results.values.items()
        for metric, value in values.items()
    }


class WandbLog(WandbLogger, Tracker):
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

    def log_sheet(self, name: str, sheet: np.ndarray, path: Path, step: int) -> None:
        self.log_image(f"gallery/{name}", [sheet])

    def log_checkpoint(self, path: Path, step: int) -> None:
        import wandb

        run: Any = self.experiment
        name = re.sub(r"[^\w.-]", "-", f"{run.group or run.project}-{run.id}")
        checkpoint = wandb.Artifact(name, type="model", metadata={"step": step})
        checkpoint.add_file(str(path))
        run.log_artifact(checkpoint, aliases=["best"])

    def log_results(self, results: ResultsFolder, folder: Path, step: int) -> None:
        """Tables of the images, and a summary that says what `results.json` says."""
        import wandb

        run: Any = self.experiment
        for name, images in results.per_image.items():
            rows = zip(images.names, *(v.tolist() for v in images.values.values()), strict=True)
            table = wandb.Table(columns=["name", *images.values], data=[[*row] for row in rows])
            run.log({f"per_image/{name}": table})
        run.summary.update(result_values(results))


def wandb_logger(
    folder: str, project: str, group: str, offline: bool, name: str, artifact: bool = False
) -> WandbLog:
    """A logger whose id follows from the folder, so that a resumed run continues its page.

    The page shows the saved config. W&B itself writes on rank 0 only. `offline` keeps everything
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
        config=OmegaConf.to_container(load_config(Path(folder), located=False), resolve=True),
        id=bytes_hash(str(Path(folder).absolute()).encode())[:12],
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
