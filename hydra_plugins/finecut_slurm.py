"""Hydra's way to `launcher=slurm`: submitit's, for clusters without accounting too.

Hydra takes launchers from the namespace `hydra_plugins` only.
"""

import logging
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

log = logging.getLogger(__name__)


class SlurmLauncher(Launcher):
    """Submits the jobs and waits for all of them, also where some are cancelled or killed.

    submitit's own asks `sacct` alone, which knows nothing where SLURM keeps no accounts: it warns
    of that for as long as it waits, which is forever where a job is cancelled. And it ends with a
    traceback at the first job that SLURM ended.

    Args:
        **params: Of submitit's launcher, as `conf/launcher/slurm.yaml` fills them in.
    """

    def __init__(self, **params: Any) -> None:
        self.params = params

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what every launcher gets before its jobs."""
        from hydra_plugins.hydra_submitit_launcher import submitit_launcher

        self.submitit = submitit_launcher.SlurmLauncher(**self.params)
        self.submitit.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Carry out jobs; those that SLURM ended return None, as those that failed."""
        from submitit.core.utils import FailedJobError, UncompletedJobError
        from submitit.slurm.slurm import SlurmJob

        from src.sweeps.slurm import JobStates
        from src.sweeps.summary import note_lost

        job_class: Any = SlurmJob
        results = job_class.results

        def found(job: Any) -> list[Any]:
            try:
                return results(job)
            except (UncompletedJobError, FailedJobError) as error:
                reason = [line for line in str(error).splitlines() if line.strip("- ")]
                log.error(
                    "SLURM's job %s (%s) ended before it was done: %s; its log is %s",
                    job.job_id,
                    job.state,
                    reason[-1],
                    job.paths.stdout,
                )
                note_lost(job.job_id)
                lost = JobReturn(status=JobStatus.COMPLETED)
                lost.return_value = None
                return [lost]

        job_class.watcher, job_class.results = JobStates(), found
        try:
            return self.submitit.launch(job_overrides, initial_job_idx)
        finally:
            job_class.results = results
