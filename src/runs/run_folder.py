"""Says in one line that a run's folder cannot be made, before Hydra tries to."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from src.errors import UserError, told_of_files


class RunFolder(Callback):
    """Hydra's callback that makes the folder of a run or a sweep; Hydra shows a traceback."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        _make(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _make(config.hydra.sweep.dir)


def _make(folder: str) -> None:
    try:
        with told_of_files(folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
    except UserError as error:
        sys.exit(f"error: {error}")
