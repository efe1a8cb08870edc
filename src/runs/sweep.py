"""Jobs of a sweep: each in its own process and folder, each carried out once, none in vain.

A job's folder is named by the hash of its config. Running the same sweep again skips what is
finished, continues what was interrupted and tries again what failed; one job's failure is recorded
and the others go on.
"""

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from src.errors import UserError
from src.plain_data import read_json
from src.whole_file import write_whole

from . import preemption
from .freeze import CONFIG, config_hash, freeze, resolved
from .jobs import objective, run_child

log = logging.getLogger(__name__)

JOB = "job.json"


def run_job(cfg: DictConfig, sweep: Path, overrides: Sequence[str]) -> float | None:
    """Carry out one job unless it is finished; return its objective, None where it failed.

    A job that another worker has is left to it, except in a search, which waits for its value.
    """
    title = " ".join(overrides) or "defaults"
    try:
        cfg = resolved(cfg)
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
        with FileLock(folder / ".lock", timeout=-1 if searching else 0):
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
        freeze(cfg, folder)
    _record(folder, state="running", overrides=list(overrides))
    code = run_child([sys.executable, "-m", "src.runs.execute", str(folder)], folder / "job.log")
    stopped = code == preemption.EXIT_CODE or preemption.received()
    state = "finished" if code == 0 else "interrupted" if stopped else "failed"
    entry: dict[str, Any] = {"state": state, "overrides": list(overrides), "exit_code": code}
    if state == "failed":
        entry["error"] = _last_line(folder / "job.log")
        log.error("failed: %s: %s", title, entry["error"])
    _record(folder, **entry)
    if preemption.received():
        preemption.leave()


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


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _record(folder: Path, **entry: Any) -> None:
    write_whole(folder / JOB, json.dumps({"pid": os.getpid(), **entry}, indent=2) + "\n")


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
