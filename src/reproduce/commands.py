"""Calls train.py: one after the other before the user's eyes, or several side by side."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from src.conf_path import IMPORT_ROOT
from src.errors import UserError


def train(words: Sequence[str]) -> None:
    """Run train.py to its end. Raises UserError where it fails; it has said why by then."""
    done = subprocess.run(_command(words), env=_environment(), check=False)
    if done.returncode:
        raise UserError(f"train.py {' '.join(words)} failed, see above")


def side_by_side(calls: Mapping[str, Sequence[str]], at_once: int, logs: Path) -> None:
    """Run calls of train.py, `at_once` of them at a time, each with its output in a file.

    Args:
        calls: By name; the name's file is `<logs>/<name>/train.log`.
        at_once: How many run at a time.
        logs: Folder of the files.

    Raises:
        UserError: One failed; the others have run to their end.
    """

    def call(name: str) -> str | None:
        path = logs / name / "train.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as log:
            code = subprocess.run(
                _command(calls[name]),
                env=_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        print(f"{name}: {'done' if code == 0 else 'failed'}, see {path}", flush=True)
        return name if code else None

    with ThreadPoolExecutor(at_once) as pool:
        failed = [name for name in pool.map(call, calls) if name]
    if failed:
        raise UserError(f"train.py failed for {', '.join(failed)}; see their train.log in {logs}")


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "src", "train", *words]


def _environment() -> dict[str, str]:
    """This one's, with `src` to be found from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{IMPORT_ROOT}{os.pathsep}{path}" if path else str(IMPORT_ROOT),
    }
