"""Run folders at a glance: `finecut runs`, or `finecut runs logs/isnet-dis5k`.

What a folder says is read as plain text and numbers; nothing in it is resolved or built.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from src.errors import CommandError, UserError
from src.plain_data import read_json, read_yaml
from src.results.folder import ResultsFolder, read_results_folder
from src.results.schema import PROVENANCE, TABLE
from src.training.config import CONFIG

HELP = """\
finecut runs                  lists the run folders in logs/: state, result, how to continue
finecut runs FOLDER FOLDER    … in these folders

The states: finished, running, stopped (it can be continued), failed, not begun, damaged.
"""
LOGS = "logs"
CHECKPOINTS = "checkpoints"


class Listed(NamedTuple):
    """One run folder."""

    folder: Path
    state: str
    model: str
    data: str
    best: str
    next: str


def main(words: Sequence[str] = ()) -> int:
    """List the runs below `logs`, or below the folders given; returns the exit code."""
    roots = [Path(word.removeprefix("runs=")).expanduser() for word in words] or [Path(LOGS)]
    for root in roots:
        if not root.is_dir():
            raise CommandError(f"{root}: no such folder; finecut runs FOLDER lists the runs in it")
    found = [listed(folder) for root in roots for folder in run_folders(root)]
    if not found:
        print(f"no run in {', '.join(map(str, roots))}")
        return 0
    for run in found:
        print(f"{run.folder}\n  {run.state}: {run.model} on {run.data}{run.best}\n  {run.next}")
    return 0


def run_folders(root: Path) -> Iterator[Path]:
    """Folders with a saved config, oldest first, without those of teachers within them."""
    configs = (path for path in root.rglob(CONFIG) if path.is_file())
    for path in sorted(configs, key=lambda path: (path.stat().st_mtime, path)):
        yield path.parent


def listed(folder: Path) -> Listed:
    """What there is to say of a run folder."""
    config, provenance = _yaml(folder / CONFIG), _json(folder / PROVENANCE)
    state, results = _state(folder, config, provenance), _results(folder)
    words = {
        "finished": f"its table: {folder / TABLE}"
        if results
        else f"nothing was tested; its weights: {folder / CHECKPOINTS}",
        "running": "another process is at it",
        "damaged": f"{folder / CONFIG} cannot be read; start the run anew",
    }
    again = f"to continue: python train.py resume={folder}"
    return Listed(
        folder,
        state,
        _text(config, "model", "name"),
        _data(config, provenance),
        _best(results, str(config.get("objective", ""))),
        words.get(state, again),
    )


def _state(folder: Path, config: dict[str, Any], provenance: dict[str, Any]) -> str:
    if not config:
        return "damaged"
    if _is_held(folder):
        return "running"
    if provenance.get("finished"):
        return "finished"
    job = _json(folder / "job.json")
    if job.get("state") == "failed":
        return f"failed ({str(job.get('error', ''))[:120]})"
    checkpoints = sorted((folder / CHECKPOINTS).glob("*.ckpt"))
    return "stopped" if checkpoints else "not begun"


def _is_held(folder: Path) -> bool:
    """Whether a process carries the run out; asking makes no lock file."""
    path = folder / ".running.lock"
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _data(config: dict[str, Any], provenance: dict[str, Any]) -> str:
    named = provenance.get("data")
    keys = map(str, named) if isinstance(named, dict) else ()
    sets = sorted({key.rpartition("/")[2] for key in keys if key.startswith("test/")})
    return ", ".join(sets[:8]) or _text(config, "data", "name")


def _best(results: ResultsFolder | None, objective: str) -> str:
    said = []
    rows = {} if results is None else {name: row for name, row in results.values.items() if row}
    for name, row in list(rows.items())[:4]:
        metric = objective if objective in row else next(iter(row))
        if not math.isnan(row[metric]):
            said.append(f"{name} {metric} {row[metric]:.4f}")
    return f"; {', '.join(said)}" if said else ""


def _results(folder: Path) -> ResultsFolder | None:
    try:
        return read_results_folder(folder)
    except (UserError, OSError):
        return None


def _text(config: dict[str, Any], *keys: str) -> str:
    node: Any = config
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return str(node) if node is not None else "?"


def _json(path: Path) -> dict[str, Any]:
    return _read(read_json, path)


def _yaml(path: Path) -> dict[str, Any]:
    return _read(read_yaml, path)


def _read(read: Callable[[Path, str], dict[str, Any]], path: Path) -> dict[str, Any]:
    """What a file says, nothing where it is not there or damaged."""
    try:
        return read(path, "")
    except (UserError, OSError):
        return {}
