"""Ends a sweep with its manifest, one table of all its jobs and its best command line."""

import json
import logging
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from src.atomic import atomic_write
from src.command_line import literal, quoted
from src.errors import CommandError, print_user_error
from src.results.table import ResultRow, markdown
from src.settings.training import parse_launcher
from src.sweeps.jobs import JOB, is_error, job_now, objective, results_of_job

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
SUMMARY = "summary.md"
Jobs = dict[str, dict[str, Any]]
_lost: list[str] = []


class SweepSummary(Callback):
    """Hydra's callback that sums a sweep up, and ends it with code 1 where a job of it failed."""

    def __init__(self) -> None:
        self._started = 0.0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._started = time.time()
        try:  # before anything is launched
            parse_launcher(config)
        except CommandError as error:
            sys.exit(print_user_error(error))  # Hydra makes a warning of an error in a callback
        folder = sweep_folder(config)
        with open_dict(config), read_write(config):
            config.hydra.sweep.dir = literal(folder)
            # Jobs are composed anew, each with a name of its own; this they all share.
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        jobs = summarize(sweep)
        print((sweep / SUMMARY).read_text())
        failed = [
            name
            for name, job in jobs.items()
            if job["state"] in ("failed", "interrupted", "damaged")
            and (sweep / name / JOB).stat().st_mtime >= self._started - 1
        ]
        if _lost and not failed:
            log.error("SLURM ended %d jobs; the same command tries them again", len(_lost))
        if failed:
            log.error(
                "%d of %d jobs are not finished; the same command tries them again",
                len(failed),
                len(jobs),
            )
        if failed or _lost:
            sys.exit(1)


def note_lost(job: str) -> None:
    """Note a job that ended before it was done; one that never began has left no record."""
    _lost.append(job)


def sweep_folder(config: DictConfig) -> str:
    """Where a sweep lives: as configured, but named by all the models and data it goes through."""
    folder = Path(config.hydra.sweep.dir)
    given = dict(o.split("=", 1) for o in config.hydra.overrides.task if "=" in o)
    swept = [group for group in ("model", "data") if "," in given.get(group, "")]
    if not swept or folder.name != config.name or "name" in given:
        return str(folder)
    choices = {"model": config.model.name, "data": config.hydra.runtime.choices.data}
    for group in swept:
        values = given[group].removeprefix("choice")
        choices[group] = re.sub(r"[^\w.]+", "+", values).strip("+")
    return str(folder.with_name(f"{choices['model']}-{choices['data']}"))


def summarize(sweep: Path) -> Jobs:
    """Write `manifest.json` and `summary.md` of what the jobs recorded."""
    jobs = {
        path.parent.name: {**job_now(path), "objective": objective(path.parent)}
        for path in sorted(sweep.glob(f"*/{JOB}"))
    }
    atomic_write(sweep / MANIFEST, json.dumps(jobs, indent=2) + "\n")
    atomic_write(sweep / SUMMARY, markdown(_rows(sweep, jobs), note=_best(sweep, jobs)))
    return jobs


def _rows(sweep: Path, jobs: Jobs) -> list[tuple[str, str, int, ResultRow]]:
    rows: list[tuple[str, str, int, ResultRow]] = []
    common = _common(jobs)
    for name, job in sorted(jobs.items(), key=lambda item: item[1]["overrides"]):
        title = " ".join(o for o in job["overrides"] if o not in common) or name
        if job["state"] != "finished":
            rows.append((f"{title} ({job['state']})", "–", 0, {}))
            continue
        found = results_of_job(sweep / name)
        counts = {} if found is None else found.provenance.images
        values = {} if found is None else found.values
        rows += [(title, test, counts.get(test, 0), row) for test, row in values.items()]
        if not values:
            rows.append((f"{title} (not tested)", "–", 0, {}))
    return rows


def _best(sweep: Path, jobs: Jobs) -> str:
    """The settings with the best objective, as they stand on a command line."""
    scored = {name: job for name, job in jobs.items() if job["objective"] is not None}
    if not scored:
        return ""
    pick = min if is_error(sweep / next(iter(scored))) else max
    best = pick(scored.values(), key=lambda job: job["objective"])
    return f"Best, {best['objective']:.4f}: `python train.py {shlex.join(best['overrides'])}`"


def _common(jobs: Jobs) -> set[str]:
    """The overrides that all jobs share."""
    known = [set(job["overrides"]) for job in jobs.values() if job["state"] != "damaged"]
    return set.intersection(*known) if known else set()
