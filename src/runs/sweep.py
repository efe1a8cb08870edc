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
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from .freeze import config_hash, freeze, resolved
from .jobs import objective, run_child
from .results import RESULTS, Row, markdown, replace_file

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
JOB = "job.json"


def run_job(cfg: DictConfig, sweep: Path, overrides: Sequence[str]) -> float | None:
    """Carry out one job unless it is finished or another worker has it; return its objective."""
    folder = sweep / config_hash(resolved(cfg))
    folder.mkdir(parents=True, exist_ok=True)
    title = " ".join(overrides) or "defaults"
    try:
        with FileLock(folder / ".lock", timeout=0):
            if _state(folder) == "finished":
                log.info("finished before: %s", title)
            else:
                _carry_out(cfg, folder, overrides, title)
    except Timeout:
        log.info("another worker has it: %s", title)
    return objective(folder)


def _carry_out(cfg: DictConfig, folder: Path, overrides: Sequence[str], title: str) -> None:
    log.info("job: %s in %s", title, folder)
    freeze(cfg, folder)
    _record(folder, state="running", overrides=list(overrides))
    code = run_child([sys.executable, "-m", "src.runs.execute", str(folder)], folder / "job.log")
    state = "finished" if code == 0 else "failed"
    entry: dict[str, Any] = {"state": state, "overrides": list(overrides), "exit_code": code}
    if code:
        entry["error"] = _last_line(folder / "job.log")
        log.error("failed: %s: %s", title, entry["error"])
    _record(folder, **entry)


class SweepSummary(Callback):
    """Hydra's callback that ends a sweep with its manifest and one table of all its jobs."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        jobs = summarise(sweep)
        failed = [job for job in jobs.values() if job["state"] != "finished"]
        print((sweep / "summary.md").read_text())
        if failed:
            log.error(
                "%d of %d jobs are not finished; the same command tries them again",
                len(failed),
                len(jobs),
            )


def summarise(sweep: Path) -> dict[str, dict[str, Any]]:
    """Write `manifest.json` and `summary.md` of what the jobs recorded."""
    jobs = {
        path.parent.name: {**json.loads(path.read_text()), "objective": objective(path.parent)}
        for path in sorted(sweep.glob(f"*/{JOB}"))
    }
    replace_file(sweep / MANIFEST, json.dumps(jobs, indent=2) + "\n")
    rows: list[tuple[str, str, int, Row]] = []
    common = set.intersection(*(set(job["overrides"]) for job in jobs.values())) if jobs else set()
    for name, job in sorted(jobs.items(), key=lambda item: item[1]["overrides"]):
        title = " ".join(o for o in job["overrides"] if o not in common) or name
        if job["state"] != "finished":
            rows.append((f"{title} ({job['state']})", "–", 0, {}))
            continue
        results = json.loads((sweep / name / RESULTS).read_text())
        rows += [(title, test, _count(sweep / name, test), row) for test, row in results.items()]
    replace_file(sweep / "summary.md", markdown(rows))
    return jobs


def _count(folder: Path, test: str) -> int:
    provenance = json.loads((folder / "provenance.json").read_text())
    return provenance["images"][test]


def _state(folder: Path) -> str | None:
    path = folder / JOB
    return json.loads(path.read_text())["state"] if path.is_file() else None


def _record(folder: Path, **entry: Any) -> None:
    replace_file(folder / JOB, json.dumps({"pid": os.getpid(), **entry}, indent=2) + "\n")


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
