"""A folder that keeps what was found out or made once: how `src` caches on disk."""

import json
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock

from src.atomic import atomic_write
from src.hashing import bytes_hash, checksum, file_hash

log = logging.getLogger(__name__)

_MOST = 1 << 30  # bytes of an entry; a longer file is none of ours and is not read to its end
_DIGITS = 32  # of the checksum that an entry begins with


class CacheFolder:
    """Entries of one kind by key, each made once by whoever asks for it first.

    Any number of processes may share the folder, and it may be removed at any time: all in it can
    be made again. An entry appears under its name only when it is whole. One that is not what was
    written, or that lies in the place of another, does not count: it is made again, and a warning
    says so. Entries of other versions have other names and are not looked at.

    A key has to say all that the entry depends on, as `key_of_files` and `src.hashing` do.

    Args:
        folder: Where the entries lie; made when it is first needed.
        kind: One word for what is kept; the names of its files begin with it.
        version: Another number whenever the same key would be answered otherwise.
    """

    def __init__(self, folder: Path, kind: str, version: int) -> None:
        self.folder, self.kind, self.version = folder, kind, version

    def path(self, key: str, suffix: str = "") -> Path:
        """Where an entry lies, or will."""
        return self.folder / f"{self.kind}-{key}-v{self.version}{suffix}"

    def lock(self, key: str) -> FileLock:
        """To be held while an entry is made, so that those who ask at once make it once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path(key)}.lock")

    def get_bytes(self, key: str, make: Callable[[], bytes], *, locked: bool = True) -> bytes:
        """An entry's content; what `make` raises is kept nowhere.

        Args:
            key: Of the entry.
            make: Gives the content.
            locked: Let others who ask for it wait while it is made. Of many thousand entries each
                would leave a lock's file: there it is better made twice now and then.

        Raises:
            OSError: The folder cannot be written to.
        """
        content = self._read(key)
        if content is not None:
            return content
        with self.lock(key) if locked else nullcontext():
            content = self._read(key) if locked else None
            if content is None:
                content = make()
                self._write(key, content)
        return content

    def get_json(self, key: str, find: Callable[[], Any]) -> Any:
        """Plain values; as JSON has them, from the first answer on: tuples are lists."""
        return json.loads(self.get_bytes(key, lambda: json.dumps(find()).encode()))

    def get_file(self, key: str, suffix: str, write: Callable[[Path], None]) -> Path:
        """A file that other libraries open by its path; its entry holds the file's hash.

        Args:
            key: Of the entry.
            suffix: Of the file's name.
            write: Writes the file, whole or not at all.
        """
        path = self.path(key, suffix)
        if not self._is_sound(key, path):
            with self.lock(key):
                if not self._is_sound(key, path):
                    log.info("writing %s, once", path)
                    write(path)
                    self._write(key, file_hash(path).encode())
        return path

    def _is_sound(self, key: str, path: Path) -> bool:
        return path.is_file() and self._read(key) == file_hash(path).encode()

    def _read(self, key: str) -> bytes | None:
        path = self.path(key)
        try:
            with path.open("rb") as file:
                entry = file.read(_MOST + 1)
        except FileNotFoundError:
            return None
        content = entry[_DIGITS:]
        if len(entry) > _MOST or entry[:_DIGITS] != _head(path, content):
            log.warning("%s is damaged: it is made again", path)
            return None
        return content

    def _write(self, key: str, content: bytes) -> None:
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, _head(path, content) + content)


def key_of_files(files: Iterable[Path], *settings: object, strict: bool = False) -> str:
    """A key that changes with any file's path, size or time of change, and with any setting.

    Args:
        files: What the entry is made of, in a fixed order.
        settings: What else it depends on; values whose `repr` tells them apart.
        strict: Count the inode and its time of change too, which a tool that sets times back does
            not reach; a change of owner or rights is one then.
    """

    def parts() -> Iterable[bytes]:
        yield repr(settings).encode()
        for path in files:
            state = path.stat()
            known = [state.st_size, state.st_mtime_ns]
            if strict:
                known += [state.st_ctime_ns, state.st_ino]
            yield os.fsencode(f"{path.resolve()}|{known}\n")

    return bytes_hash(parts())[:16]


def _head(path: Path, content: bytes) -> bytes:
    """The checksum of an entry and of its name, so that no other's file is taken for it."""
    return checksum((path.name.encode(), content), _DIGITS).encode()
