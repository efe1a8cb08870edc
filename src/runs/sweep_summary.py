"""Ends a sweep with its manifest, one table of all its jobs, its best command line and a plot."""

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

from src.command_line import quoted
from src.errors import CommandError
from src.literals import literal
from src.settings.training import parse_launcher
from src.whole_file import write_whole

from .jobs import objective
from .results import RESULTS, Row, markdown
from .sweep import JOB

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SUMMARY = "summary.md"
PLOT = "parallel.png"

Jobs = dict[str, dict[str, Any]]


class SweepSummary(Callback):
    """Hydra's callback that sums a sweep up, and ends it with code 1 where a job of it failed."""

    def __init__(self) -> None:
        self._started = 0.0

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._started = time.time()
        try:  # before anything is launched; of other errors Hydra makes a warning here
            parse_launcher(config)
        except CommandError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        folder = sweep_folder(config)
        with open_dict(config), read_write(config):
            config.hydra.sweep.dir = literal(folder)
            # Jobs are composed anew, each with a name of its own; this they all share.
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        jobs = summarise(sweep)
        print((sweep / SUMMARY).read_text())
        failed = [
            name
            for name, job in jobs.items()
            if job["state"] in ("failed", "interrupted")
            and (sweep / name / JOB).stat().st_mtime >= self._started - 1
        ]
        if failed:
            log.error(
                "%d of %d jobs are not finished; the same command tries them again",
                len(failed),
                len(jobs),
            )
            sys.exit(1)


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


def summarise(sweep: Path) -> Jobs:
    """Write `manifest.json`, `summary.md` and `parallel.png` of what the jobs recorded."""
    jobs = {
        path.parent.name: {**json.loads(path.read_text()), "objective": objective(path.parent)}
        for path in sorted(sweep.glob(f"*/{JOB}"))
    }
    write_whole(sweep / MANIFEST, json.dumps(jobs, indent=2) + "\n")
    write_whole(sweep / SUMMARY, markdown(_rows(sweep, jobs), note=_best(jobs)))
    _plot(sweep, jobs)
    return jobs


def _rows(sweep: Path, jobs: Jobs) -> list[tuple[str, str, int, Row]]:
    rows: list[tuple[str, str, int, Row]] = []
    common = _common(jobs)
    for name, job in sorted(jobs.items(), key=lambda item: item[1]["overrides"]):
        title = " ".join(o for o in job["overrides"] if o not in common) or name
        if job["state"] != "finished":
            rows.append((f"{title} ({job['state']})", "–", 0, {}))
            continue
        path = sweep / name / RESULTS
        results = json.loads(path.read_text()) if path.is_file() else {}
        rows += [(title, test, _count(sweep / name, test), row) for test, row in results.items()]
        if not results:
            rows.append((f"{title} (not tested)", "–", 0, {}))
    return rows


def _best(jobs: Jobs) -> str:
    """The settings with the largest objective, as they stand on a command line."""
    scored = [job for job in jobs.values() if job["objective"] is not None]
    if not scored:
        return ""
    best = max(scored, key=lambda job: job["objective"])
    return f"Best, {best['objective']:.4f}: `python train.py {shlex.join(best['overrides'])}`"


def _plot(sweep: Path, jobs: Jobs) -> None:
    common = _common(jobs)
    lines = [
        (dict(o.split("=", 1) for o in job["overrides"] if "=" in o and o not in common), score)
        for job in jobs.values()
        if (score := job["objective"]) is not None or job["state"] == "failed"
    ]
    if any(settings for settings, _ in lines):
        from .parallel_plot import parallel_plot  # matplotlib takes a second to import

        parallel_plot(sweep / PLOT, lines)


def _common(jobs: Jobs) -> set[str]:
    """The overrides that all jobs share."""
    return set.intersection(*(set(job["overrides"]) for job in jobs.values())) if jobs else set()


def _count(folder: Path, test: str) -> int:
    provenance = json.loads((folder / "provenance.json").read_text())
    return provenance["images"][test]
