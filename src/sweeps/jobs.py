"""Jobs of a sweep: each in its own process and folder, each carried out once, none in vain.

A job's folder is named by the hash of its config. Running the same sweep again skips what is
finished, continues what was interrupted and tries again what failed; one job's failure is recorded
and the others go on.
"""

import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.atomic import atomic_write
from src.errors import UserError
from src.metrics import higher_is_better
from src.plain_data import read_json
from src.results.folder import ResultsFolder, read_if_sound
from src.results.schema import RESULTS
from src.training import memory, preemption
from src.training.child import let_idle_threads_sleep, run_child
from src.training.config import CONFIG, config_hash, load_config, resolve, save_config
from src.training.trainer import require_known

log = logging.getLogger(__name__)

JOB = "job.json"
_LOCK = ".lock"
_OF_THE_SWEEP = ("sweep=", "sweep.", "launcher=", "launcher.")  # how jobs run, not what they are


def main(cfg: DictConfig) -> float | None:
    """Carry out what is one job of `train.py -m …`; return what a search judges it by."""
    if cfg.resume is not None:
        raise UserError(
            "resume continues one run, without -m; the same sweep's command continues a sweep"
        )
    require_known(cfg.trainer)
    let_idle_threads_sleep()
    hydra = HydraConfig.get()
    overrides = [o for o in hydra.overrides.task if not o.startswith(_OF_THE_SWEEP)]
    return run_job(cfg, Path(hydra.sweep.dir).absolute(), overrides)


def run_job(cfg: DictConfig, sweep: Path, overrides: Sequence[str]) -> float | None:
    """Carry out one job unless it is finished; return its objective, None where it failed.

    A job that another worker has is left to it, except in a search, which waits for its value.
    """
    title = " ".join(overrides) or "defaults"
    try:
        cfg = resolve(cfg)
        searching = cfg.pop("sweep", None) is not None
        cfg.pop("launcher", None)  # a job is what it computes, however it came about
        if searching:
            _require_objective(cfg)
        folder = _requeued(sweep, overrides) or sweep / config_hash(cfg)
    except UserError as error:
        _refuse(sweep, overrides, error)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=-1 if searching else 0):
            if _state(folder) == "finished":
                log.info("finished before: %s", title)
            else:
                _carry_out(cfg, folder, overrides, title)
    except Timeout:
        log.info("another worker has it: %s", title)
    return objective(folder)


def _requeued(sweep: Path, overrides: Sequence[str]) -> Path | None:
    """The folder that a requeued job had before; yaml files may have changed its hash since."""
    if not preemption.restarted():
        return None
    for path in sweep.glob(f"*/{JOB}"):
        job = read_job(path)
        if job["state"] == "interrupted" and job["overrides"] == list(overrides):
            return path.parent
    return None


def _require_objective(cfg: DictConfig) -> None:
    if not cfg.test or cfg.objective not in cfg.metrics.test:
        raise UserError(
            f"a search needs test=true and an objective among metrics.test: objective="
            f"{cfg.objective} is none of {', '.join(cfg.metrics.test)}"
        )


def _carry_out(cfg: DictConfig, folder: Path, overrides: Sequence[str], title: str) -> None:
    log.info("job: %s in %s", title, folder)
    if not (preemption.restarted() and (folder / CONFIG).is_file()):
        save_config(memory.carry_over(cfg, folder), folder)
    _record(folder, state="running", overrides=list(overrides))
    code = run_child(
        [sys.executable, "-m", "src.training.execute", str(folder)], folder / "job.log"
    )
    stopped = code == preemption.EXIT_CODE or preemption.pending_signal()
    state = "finished" if code == 0 else "interrupted" if stopped else "failed"
    entry: dict[str, Any] = {"state": state, "overrides": list(overrides), "exit_code": code}
    if state == "failed":
        entry["error"] = _last_line(folder / "job.log")
        log.error("failed: %s: %s", title, entry["error"])
    _record(folder, **entry)
    if preemption.pending_signal():
        preemption.exit_for_signal()


def _refuse(sweep: Path, overrides: Sequence[str], error: UserError) -> None:
    """Record a job whose config cannot be resolved, and has no hash."""
    folder = sweep / f"refused-{config_hash({'overrides': list(overrides)})}"
    folder.mkdir(parents=True, exist_ok=True)
    log.error("failed: %s: %s", " ".join(overrides), error)
    _record(folder, state="failed", overrides=list(overrides), error=str(error))


def _state(folder: Path) -> str | None:
    path = folder / JOB
    return read_job(path)["state"] if path.is_file() else None


def read_job(path: Path) -> dict[str, Any]:
    """What a job recorded of itself; a damaged record is said, and counts as interrupted.

    The same sweep's command then carries the job out again, from its newest checkpoint.
    """
    advice = "the sweep's command does the job again"
    try:
        job = read_json(path, advice)
        if not isinstance(job.get("state"), str) or not _are_words(job.get("overrides")):
            raise UserError(f"{path} is damaged (no state or no settings); {advice}")
    except UserError as error:
        log.warning("%s", error)
        return {"state": "interrupted", "overrides": [], "error": f"{path.name} is damaged"}
    return job


def job_now(path: Path) -> dict[str, Any]:
    """What a job recorded, but interrupted where it says that it runs and nobody carries it out.

    What kills a job, a node that breaks or a user that will not wait, leaves no time for a record.
    """
    job = read_job(path)
    if job["state"] == "running":
        with suppress(Timeout), FileLock(path.parent / _LOCK, timeout=0):
            return {**job, "state": "interrupted"}
    return job


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _record(folder: Path, **entry: Any) -> None:
    atomic_write(folder / JOB, json.dumps({"pid": os.getpid(), **entry}, indent=2) + "\n")


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def results_of_job(folder: Path) -> ResultsFolder | None:
    """The results of a job; None where it left none, or, said in a warning, damaged ones."""
    return read_if_sound(folder, f"remove {RESULTS} and {JOB}: the job is then done again")


def objective(folder: Path) -> float | None:
    """What a sweep judges by: the mean over test sets of the metric that `objective` names."""
    results = results_of_job(folder)
    if results is None:
        return None
    try:
        name = load_config(folder).get("objective")
    except UserError as error:
        log.warning("%s", error)
        return None
    values = [row[name] for row in results.values.values() if name in row]
    values = [value for value in values if not math.isnan(value)]
    if not values:
        log.warning("objective=%s is no metric of %s; see metrics.test", name, folder / RESULTS)
    return sum(values) / len(values) if values else None


def is_error(folder: Path) -> bool:
    """Whether the objective of a job, which has one, is the better the smaller it is."""
    results = results_of_job(folder)
    assert results is not None
    name = load_config(folder)["objective"]
    return not higher_is_better(name, results.protocol.get(name, ""))
