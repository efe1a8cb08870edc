"""Hashes of files, each file read once: what was hashed on the way is remembered."""

import hashlib
import os
from pathlib import Path

_BLOCK = 1 << 22
# A file that was replaced has another inode, one that was written to another time or size.
_Key = tuple[int, int, int, int, str]
_known: dict[_Key, str] = {}


def file_hash(path: str | Path, algorithm: str = "sha256") -> str:
    """The hash of a file's content, in hexadecimal digits."""
    path = Path(path)
    known = _known.get(_key(path.stat(), algorithm))
    if known is not None:
        return known
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        while block := file.read(_BLOCK):
            digest.update(block)
    remember(status, digest.hexdigest(), algorithm)
    return digest.hexdigest()


def remember(status: os.stat_result, digest: str, algorithm: str = "sha256") -> None:
    """Note the hash of a file that was read anyway; `status` is of before it was read."""
    _known[_key(status, algorithm)] = digest


def _key(status: os.stat_result, algorithm: str) -> _Key:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, algorithm
