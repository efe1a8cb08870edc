"""What a file hashed to when it was first used, for files whose authors publish no checksum.

It stands in `<file>.sha256` as `sha256sum` writes it, so that `sha256sum -c` reads it too.
"""

import logging
import re
from pathlib import Path

from src.errors import UserError
from src.file_hash import file_hash
from src.whole_file import write_whole

log = logging.getLogger(__name__)

_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\n]+)\n")
_LONGEST = 4096  # bytes of a note; whatever is longer is none


class FirstUseError(UserError):
    """The note beside a file cannot be read, so that nothing says what the file has to be."""


def note_of(path: Path) -> Path:
    """Where the checksum of a file is noted."""
    return path.with_name(f"{path.name}.sha256")


def remembered(path: Path) -> str | None:
    """The SHA-256 that was noted of a file, in hex; None where nothing was.

    Raises:
        FirstUseError: The note is damaged.
    """
    note = note_of(path)
    try:
        with note.open("rb") as file:
            text = file.read(_LONGEST).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FirstUseError(_damaged(note, path)) from error
    found = _LINE.fullmatch(text)
    if found is None or found["name"] != path.name:
        raise FirstUseError(_damaged(note, path))
    return found["digest"]


def remember(path: Path) -> str:
    """Note the SHA-256 of a complete file beside it, and return it.

    In a folder that cannot be written to nothing is noted, which a warning says.
    """
    digest, note = file_hash(path), note_of(path)
    try:
        write_whole(note, f"{digest}  {path.name}\n")
    except OSError as error:
        log.warning("%s cannot be written (%s): %s is used unverified", note, error.strerror, path)
    return digest


def _damaged(note: Path, path: Path) -> str:
    return (
        f"{note} is damaged: it should hold the sha256 of {path.name}. Remove it where you trust "
        "the file beside it, or both to get the file anew"
    )
