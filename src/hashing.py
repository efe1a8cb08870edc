"""Hashes of files, bytes and plain values; no other file of `src` calls hashlib.

Which algorithm is one decision, made here:

- **SHA-256** names whatever somebody may compare or look up: files of weights, data sets, configs,
  the keys of caches and of resume logs. Where a name needs no more, its first characters are taken.
- **BLAKE2b**, shortened, is a checksum: whether a line or a cache entry is what was written, and
  whether one of thousands of image files is the one of last time. It is quick without help of the
  processor, and files that runs left behind hold it.
- **MD5** only where a release's authors publish nothing else (`file_hash(path, "md5")`).

CRC-32 remains where it is a format's own (zip, PNG), where four bytes a sample have to do
(`datamodules/sample_cache.py`, `shard_index.py`), and where a name decides on a split.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BLOCK = 1 << 22
# A file that was replaced has another inode, one that was written to another time or size.
_Key = tuple[int, int, int, int, str]
_known: dict[_Key, str] = {}


class Hasher(Protocol):
    """A hash that is fed block by block."""

    def update(self, data: "Buffer", /) -> None: ...

    def hexdigest(self) -> str: ...


def file_hash(path: str | Path, algorithm: str = "sha256") -> str:
    """The hash of a file's content, in hexadecimal digits.

    Each file is read once: what was hashed before, here or on the way (`remember`), is known.
    """
    path = Path(path)
    known = _known.get(_key(path.stat(), algorithm))
    if known is not None:
        return known
    digest = new_hash(algorithm)
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        while block := file.read(_BLOCK):
            digest.update(block)
    remember(status, digest.hexdigest(), algorithm)
    return digest.hexdigest()


def remember(status: os.stat_result, digest: str, algorithm: str = "sha256") -> None:
    """Note the hash of a file that was read anyway; `status` is of before it was read."""
    _known[_key(status, algorithm)] = digest


def new_hash(algorithm: str) -> Hasher:
    """An empty hash, for who does more with a file's blocks than to hash them."""
    return hashlib.new(algorithm, usedforsecurity=False)


def bytes_hash(parts: "bytes | Iterable[Buffer]") -> str:
    """The SHA-256 of bytes, or of several parts as if they were joined, in hexadecimal digits."""
    return _fed(hashlib.sha256(), parts)


def value_hash(value: Any) -> str:
    """The SHA-256 of a plain value by its canonical JSON: the order of a dict's keys has no say.

    What JSON does not know, a path for example, counts as its text.
    """
    return bytes_hash(json.dumps(value, sort_keys=True, default=str).encode())


def checksum(parts: "bytes | Iterable[Buffer]", digits: int = 16) -> str:
    """BLAKE2b of bytes or of several parts, of an even number of hexadecimal digits."""
    return _fed(hashlib.blake2b(digest_size=digits // 2), parts)


def _fed(digest: Hasher, parts: "bytes | Iterable[Buffer]") -> str:
    for part in (parts,) if isinstance(parts, bytes) else parts:
        digest.update(part)
    return digest.hexdigest()


def _key(status: os.stat_result, algorithm: str) -> _Key:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, algorithm
