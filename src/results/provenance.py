"""`provenance.json` as a run writes it, entry by entry, and the state of the code."""

import json
import subprocess
from pathlib import Path
from typing import Any

from src.atomic import atomic_write
from src.errors import UserError
from src.paths import IMPORT_ROOT, IS_INSTALLED
from src.results.schema import PROVENANCE


def write(folder: Path, **entries: Any) -> None:
    """Add entries to the folder's provenance file; an interrupted write leaves the old file."""
    replace(folder, {**read(folder), **entries})


def replace(folder: Path, entries: dict[str, Any]) -> None:
    """Write the folder's provenance file anew, with these entries alone."""
    text = json.dumps(entries, indent=2, default=str) + "\n"
    atomic_write(folder / PROVENANCE, text)


def read(folder: Path) -> dict[str, Any]:
    """What a run noted of itself so far; nothing where it noted nothing yet.

    A run that goes on reads its own notes so. Whoever wants the numbers reads them by
    `src.results.folder`, which checks every entry.

    Raises:
        UserError: The file is damaged.
    """
    path = folder / PROVENANCE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(known, dict):
            raise ValueError("not an object")
        resumes = known.get("resumes", [])
        if not isinstance(resumes, list) or not all(isinstance(one, dict) for one in resumes):
            raise ValueError("resumes are no list of objects")
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"{path} is damaged ({reason}); put a copy of it back, or remove it:"
            " the run then notes anew where it comes from, but not what it was resumed with"
        ) from None
    return known


def git_state() -> dict[str, Any]:
    """Commit of the code and whether it was changed since; nulls where git is not to be had."""
    if IS_INSTALLED:  # a repository around site-packages would be of something else
        return {"commit": None, "dirty": None}
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(IMPORT_ROOT), *words], capture_output=True, text=True, check=True
    ).stdout.strip()
