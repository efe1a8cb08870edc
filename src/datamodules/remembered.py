"""What is found out about a set's files once, and kept beside the caches for the next run."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from src.line_file import from_line, to_line
from src.whole_file import write_whole

log = logging.getLogger(__name__)


def remembered(folder: Path, name: str, find: Callable[[], Any]) -> Any:
    """Plain values from `<folder>/<name>.json`, found and written first where it is not there.

    Processes that ask at once find them once. What `find` raises is remembered nowhere. A file
    that is damaged, or of an older version, is found and written again.

    Args:
        folder: Where such files are kept.
        name: Has to change with whatever changes the values.
        find: Finds them.
    """
    note = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(note.with_suffix(".lock")):
        if note.is_file():
            try:
                return from_line(note.read_bytes())
            except ValueError:
                log.warning("%s is damaged or of an older version: it is made again", note)
        line = to_line(find())
        write_whole(note, line)
        return from_line(line)
