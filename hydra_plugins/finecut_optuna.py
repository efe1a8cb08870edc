"""Hydra's way to `sweep=optuna`; Hydra takes sweepers from the namespace `hydra_plugins` only.

The stock plugin needs an Optuna before 3, whose database storage fails with SQLAlchemy 2.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig, OmegaConf

from src.errors import missing_extra

log = logging.getLogger(__name__)


@dataclass
class OptunaSweeperConf:
    """What `conf/sweep/optuna.yaml` fills in, and explains."""

    _target_: str = "hydra_plugins.finecut_optuna.OptunaSweeper"
    trials: int = MISSING
    at_once: int = MISSING
    study: str | None = MISSING
    storage: str | None = MISSING
    seed: int | None = MISSING
    storage_timeout: float = MISSING


ConfigStore.instance().store(
    group="hydra/sweeper", name="finecut_optuna", node=OptunaSweeperConf, provider="finecut"
)


class OptunaSweeper(Sweeper):
    """Asks the study for settings and launches their jobs, until the study has all its trials.

    Args:
        at_once: Trials that this command launches together, for launchers with several workers.
        **study: Of `src.sweeps.search.Search`.
    """

    def __init__(self, at_once: int, **study: Any) -> None:
        self.at_once, self.study = at_once, study
        self.launcher: Launcher | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from src.settings.training import parse_sweep

        try:
            from src.sweeps.search import Search, split
        except ModuleNotFoundError as error:
            raise missing_extra(f"sweep=optuna needs {error.name}", "sweep") from error
        settings = parse_sweep({"at_once": self.at_once, **self.study})
        assert self.hydra_context is not None
        assert self.config is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        fixed, space = split(parser.parse_overrides(arguments))
        study = settings.model_dump(exclude={"at_once"})
        minimize = is_error(self.config)
        search = Search(Path(self.config.hydra.sweep.dir), space, minimize=minimize, **study)
        launched = 0
        while trials := search.take(settings.at_once):
            batch = [[*fixed, *trial.overrides] for trial in trials]
            self.validate_batch_is_legal(batch)
            assert self.launcher is not None
            results = self.launcher.launch(batch, initial_job_idx=launched)
            for trial, result in zip(trials, results, strict=True):
                search.tell(trial.number, result.return_value)
            launched += len(trials)
            log.info(search.report())
        log.info(search.report())


def is_error(config: DictConfig) -> bool:
    """Whether the objective is a metric that is the better the smaller it is."""
    from src.metrics import higher_is_better, use_foreign

    use_foreign(OmegaConf.to_container(config.metrics.extra) if config.metrics.extra else None)
    return not higher_is_better(config.objective)
