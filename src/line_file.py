"""Files that gain a line of JSON for each piece of work done, and survive a kill at any moment."""

import json
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects in a file, none where it is not there; a line that was cut short is left out."""
    if not path.is_file():
        return []
    entries = (_parsed(line) for line in path.read_bytes().split(b"\n"))
    return [entry for entry in entries if isinstance(entry, dict)]


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Add an object; it is in the file when this returns."""
    with path.open("a") as file:
        # On a line of its own even if the last one was cut short.
        file.write("\n" + json.dumps(entry))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
