"""Files that gain a line of JSON for each piece of work done, and survive a kill at any moment.

Each line holds an entry and a checksum of it: `{"checksum": "…", "entry": {…}}`. A line that was
cut short, that a disk has damaged or that an older version wrote does not count: what it held is
computed again.
"""

import json
import logging
from hashlib import blake2b
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_LONGEST = 1 << 28  # bytes of a line; a longer one is none of ours
_HEAD, _BETWEEN, _TAIL = b'{"checksum": "', b'", "entry": ', b"}"
_DIGITS = 16


def to_line(entry: Any) -> bytes:
    """A plain value as one line of JSON with its checksum, without a line's end."""
    text = json.dumps(entry).encode()
    return _HEAD + _checksum(text) + _BETWEEN + text + _TAIL


def from_line(line: bytes) -> Any:
    """What `to_line` was given. Raises ValueError where the line is not, byte for byte, its own."""
    start = len(_HEAD) + _DIGITS + len(_BETWEEN)
    text = line[start : -len(_TAIL)]
    head = _HEAD + _checksum(text) + _BETWEEN
    if line[:start] != head or line[-len(_TAIL) :] != _TAIL:
        raise ValueError("the checksum is missing or not that of the entry")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects in a file, none where it is not there.

    Lines that do not count are left out, and their number is logged.
    """
    if not path.is_file():
        return []
    entries, lost = [], 0
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            line = line.rstrip(b"\n")
            entry = _entry(line) if line else {}
            if entry is None:
                lost += 1
            elif line:
                entries.append(entry)
    if lost:
        log.warning(
            "%s: %d line(s) are cut short, damaged or of an older version; what they held is "
            "computed again",
            path,
            lost,
        )
    return entries


def append_jsonl(path: Path, entry: dict[str, Any]) -> None:
    """Add an object; it is in the file when this returns."""
    with path.open("ab") as file:
        # On a line of its own even if the last one was cut short.
        file.write(b"\n" + to_line(entry))


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = from_line(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _checksum(text: bytes) -> bytes:
    return blake2b(text, digest_size=_DIGITS // 2).hexdigest().encode()
