"""What files hold, in a few letters each: enough to see that an image was replaced."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .remembered import remembered

_READERS = 16
_BLOCK = 8 << 10
# A changed pixel changes all that follows it, sizes and checksums at the end included.
_COMPRESSED = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".jp2"})


def contents(files: Mapping[str, Path], cache: Path) -> dict[str, str]:
    """A digest of each file by its name.

    Of compressed images only the size and the first, middle and last 8 KiB are read, of other
    files everything. The digests are kept in the cache until the size, the times or the number
    (inode) of any file change, so that a run whose data nobody touched reads none of it again; a
    set that was copied or moved is read once more and has the same digests.

    Args:
        files: By names that do not depend on where the files lie.
        cache: Folder that keeps the digests.
    """
    if not files:
        return {}
    key = hashlib.sha256()
    for name, path in files.items():
        state = path.stat()
        times = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        key.update(f"{name}|{path.resolve()}|{times}\n".encode())
    found: dict[str, str] = remembered(
        cache, f"contents-{key.hexdigest()[:16]}", lambda: _read_all(files)
    )
    return found


def digest(path: Path) -> str:
    """Twelve letters that change with what a file holds."""
    state = hashlib.blake2b(digest_size=6)
    with path.open("rb") as file:
        size = path.stat().st_size
        state.update(str(size).encode())
        if path.suffix.lower() not in _COMPRESSED or size <= 3 * _BLOCK:
            while block := file.read(1 << 20):
                state.update(block)
            return state.hexdigest()
        for start in (0, size // 2, size - _BLOCK):
            file.seek(start)
            state.update(file.read(_BLOCK))
    return state.hexdigest()


def _read_all(files: Mapping[str, Path]) -> dict[str, str]:
    with ThreadPoolExecutor(_READERS) as readers:
        return dict(zip(files, readers.map(digest, files.values()), strict=True))
