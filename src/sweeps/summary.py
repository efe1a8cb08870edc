"""Ends a sweep with its manifest, one table of all its jobs, its best command line and a plot."""

import json
import logging
import math
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from hydra.experimental.callback import Callback
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from omegaconf import DictConfig, open_dict, read_write

from src.atomic import atomic_path, atomic_write
from src.command_line import literal, quoted
from src.errors import CommandError, print_user_error
from src.results.table import ResultRow, markdown
from src.settings.training import parse_launcher
from src.sweeps.jobs import JOB, objective, read_job, results_of_job

Line = tuple[Mapping[str, str], float | None]

_DECADES = 2  # values that span more stand on a logarithmic axis
log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
SUMMARY = "summary.md"
PLOT = "parallel.png"
Jobs = dict[str, dict[str, Any]]


def parallel_plot(path: Path, lines: Sequence[Line]) -> None:
    """Write a PNG of jobs, each a line through its settings to its objective.

    Args:
        path: The file.
        lines: Settings by key, as written on the command line, and the objective; None: the job
            failed, and its line ends, gray, before the last axis.
    """
    keys = list(dict.fromkeys(key for settings, _ in lines for key in settings))
    axes = [_Axis(key, [settings.get(key, "–") for settings, _ in lines]) for key in keys]
    scores = [score for _, score in lines if score is not None]
    last = _Axis("objective", [repr(score) for score in scores]) if scores else None
    figure = Figure(figsize=(2.2 + 1.8 * len(keys), 4.5), layout="constrained")
    plot = figure.subplots()
    colors = matplotlib.colormaps["viridis"]
    for settings, score in sorted(lines, key=_best_on_top):
        heights = [axis.height(settings.get(axis.key, "–")) for axis in axes]
        if score is None or last is None:
            plot.plot(heights, color="0.6", linestyle="--", linewidth=1)
            continue
        height = last.height(repr(score))
        plot.plot([*heights, height], color=colors(0.9 * height), linewidth=1.8)
    for position, axis in enumerate(axes):
        axis.draw(plot, position, "right")
    if last:
        last.draw(plot, len(axes), "left")
    plot.set_axis_off()
    plot.set_ylim(-0.12, 1.12)
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150, metadata={"Software": None})


class _Axis:
    """One setting: where its values stand between 0 and 1, and how they are written."""

    def __init__(self, key: str, values: Sequence[str]) -> None:
        self.key = key
        self._numbers = [number for value in set(values) if (number := _number(value)) is not None]
        self._words: list[str] = []
        if len(self._numbers) < len(set(values)):
            self._words = sorted(set(values))
        low = min(self._numbers, default=0.0)
        self._logarithmic = low > 0 and math.log10(max(self._numbers) / low) > _DECADES

    def height(self, value: str) -> float:
        if self._words:
            return (self._words.index(value) + 0.5) / len(self._words)
        low, high, here = (
            math.log10(x) if self._logarithmic else x
            for x in (min(self._numbers), max(self._numbers), float(value))
        )
        return (here - low) / (high - low) if high > low else 0.5

    def draw(self, plot: Axes, position: int, align: str) -> None:
        plot.plot([position, position], [0, 1], color="black", linewidth=1, zorder=3)
        name = self.key.rsplit(".", 1)[-1].lstrip("+")
        plot.text(position, 1.08, name, ha="center", va="bottom", fontsize=10)
        for height, label in self._ticks():
            beside = position + (0.03 if align == "left" else -0.03)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            plot.text(beside, height, label, ha=align, va="center", fontsize=8, bbox=box, zorder=4)

    def _ticks(self) -> list[tuple[float, str]]:
        if self._words:
            return [(self.height(word), word) for word in self._words]
        shown = sorted(set(self._numbers))
        if len(shown) > 5:
            shown = [shown[0], shown[-1]]
        return [(self.height(repr(number)), f"{number:.4g}") for number in shown]


def _best_on_top(line: Line) -> float:
    return -math.inf if line[1] is None else line[1]


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


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


def summarize(sweep: Path) -> Jobs:
    """Write `manifest.json`, `summary.md` and `parallel.png` of what the jobs recorded."""
    jobs = {
        path.parent.name: {**read_job(path), "objective": objective(path.parent)}
        for path in sorted(sweep.glob(f"*/{JOB}"))
    }
    atomic_write(sweep / MANIFEST, json.dumps(jobs, indent=2) + "\n")
    atomic_write(sweep / SUMMARY, markdown(_rows(sweep, jobs), note=_best(jobs)))
    _plot(sweep, jobs)
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
        parallel_plot(sweep / PLOT, lines)


def _common(jobs: Jobs) -> set[str]:
    """The overrides that all jobs share."""
    known = [set(job["overrides"]) for job in jobs.values() if job["state"] != "damaged"]
    return set.intersection(*known) if known else set()
