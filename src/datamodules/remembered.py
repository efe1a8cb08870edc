"""What is found out about a set's files once, and kept beside the caches for the next run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from src.whole_file import write_whole


def remembered(folder: Path, name: str, find: Callable[[], Any]) -> Any:
    """Plain values from `<folder>/<name>.json`, found and written first where it is not there.

    Processes that ask at once find them once. What `find` raises is remembered nowhere.

    Args:
        folder: Where such files are kept.
        name: Has to change with whatever changes the values.
        find: Finds them.
    """
    note = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(note.with_suffix(".lock")):
        if not note.is_file():
            write_whole(note, json.dumps(find()))
        return json.loads(note.read_text())
