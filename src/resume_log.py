"""What is finished of a task that takes long, so that a kill at any moment costs one piece of work.

The file gains a line of JSON for each piece, an entry and a checksum of it:
`{"checksum": "…", "entry": {"key": "…", …}}`. A line that was cut short, that a disk has damaged or
that an older version wrote does not count: what it held is computed again.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from src.hashing import checksum

log = logging.getLogger(__name__)

_LONGEST = 1 << 28  # bytes of a line; a longer one is none of ours
_HEAD, _BETWEEN, _TAIL = b'{"checksum": "', b'", "entry": ', b"}"
_DIGITS = 16
_KEY = "key"


class _Place(NamedTuple):
    """Where a line lies: in which file, from which byte on, of which length."""

    path: Path
    start: int
    length: int

    def line(self) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.length)


class ResumeLog:
    """Finished pieces of work by key, in the order in which they were added.

    A key says all that the result of a piece depends on (`src.hashing.value_hash` makes one), so
    that what another input, another setting or another version has left is not asked for. Whoever
    adds owns the file: one process at a time.

    Args:
        path: Of the file; it is read if it is there, and made with the first entry.
        also: Logs whose entries are known too, and which are only read.
    """

    def __init__(self, path: Path, also: Iterable[Path] = ()) -> None:
        self.path = path
        # Where the line of each lies: entries of thousands of images would fill the memory.
        self._known: dict[str, _Place] = {}
        for one in (*also, path):
            self._known |= _read(one)
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> dict[str, Any] | None:
        """The entry of a key as JSON has it, None where there is none.

        The line is as it was written; what is in it is still to be checked, since another version
        may have written other things under the same key. It is read from the file, which may be
        gone or damaged by now: that is None too.
        """
        if (place := self._known.get(key)) is None:
            return None
        try:
            entry = _entry(place.line())
        except FileNotFoundError:
            return None
        return entry if entry is not None and entry.get(_KEY) == key else None

    def add(self, key: str, entry: Mapping[str, Any]) -> None:
        """Append an entry of plain values; it is in the file when this returns."""
        self._append(key, to_line({_KEY: key, **entry}))

    def take_over(self, other: Path) -> None:
        """Append the entries of another log whose keys are not known here."""
        with self.held_open():
            for key, place in _read(other).items():
                if key not in self._known:
                    self._append(key, place.line())

    def _append(self, key: str, line: bytes) -> None:
        with self._opened() if self._file is None else nullcontext(self._file) as file:
            # On a line of its own even if the last one was cut short.
            file.write(b"\n" + line)
            file.flush()
            self._known[key] = _Place(self.path, file.tell() - len(line), len(line))

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Context in which the file stays open, for who adds entries by the thousand.

        Each entry still is in the file when `add` returns.
        """
        with self._opened() as self._file:
            try:
                yield
            finally:
                self._file = None

    def _opened(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.open("ab")

    def remove(self) -> None:
        """Forget everything, and the file with it."""
        self._known.clear()
        self.path.unlink(missing_ok=True)


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


def _read(path: Path) -> dict[str, _Place]:
    """Where in a file the last entry of each key lies; nothing without a file.

    How many lines do not count is logged.
    """
    if not path.is_file():
        return {}
    found: dict[str, _Place] = {}
    lost = start = 0
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            text = line.rstrip(b"\n")
            if text:
                entry = _entry(text)
                if entry is None:
                    lost += 1
                elif isinstance(entry.get(_KEY), str):
                    found[entry[_KEY]] = _Place(path, start, len(text))
            start += len(line)
    if lost:
        log.warning(
            "%s: %d line(s) are cut short, damaged or of an older version; what they held is "
            "computed again",
            path,
            lost,
        )
    return found


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = from_line(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _checksum(text: bytes) -> bytes:
    return checksum(text, _DIGITS).encode()
