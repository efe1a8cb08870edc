"""Tar shards as training reads them: from a folder by offset, from a URL through a bounded cache.

A shard behind a URL comes whole, in one sequential transfer, which is taken up again where it broke
off, and is compared with its hash before anything of it is used. All processes of a machine share
what has come; the shards that were not wanted for longest make room for others.
"""

import logging
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from filelock import FileLock

from src.atomic import atomic_write
from src.datamodules.shard_index import INDEX, Member, Shard, ShardError, ShardIndex, parse_index
from src.datamodules.sources import is_url
from src.download import Checksum, DownloadError, download, remote_size
from src.errors import file_fault, is_full
from src.hashing import bytes_hash
from src.paths import cache_folder

log = logging.getLogger(__name__)

DEFAULT_CACHE_GB = 16.0
_ASKERS = 16  # a look at a size waits for the disk or the network
# Of a shard that makes room for those of other processes before it is opened, each time.
_FETCHES = 10
# Seconds before a transfer of which nothing came is tried again: a server that restarts.
_WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
# What is no server's passing trouble: asking again gets the same answer.
_LASTING = range(400, 500)
_PASSING = (408, 425, 429)
SHARD_ADVICE = "Copy this shard again, or write the shards anew with finecut data shard"
_Result = TypeVar("_Result")


class ShardCache:
    """Whole shards that came from elsewhere, by their hashes, in a folder of bounded size.

    Args:
        folder: Shared by all processes of this machine; may be removed at any time.
        limit: Bytes that it may hold.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def path(self, shard: Shard, url: str) -> Path:
        """The file of a shard, which is fetched and checked first where it is not here.

        It may be removed at any later moment, to make room for others.

        Raises:
            ShardError: It did not come, or is not the one that the index lists.
            OSError: No room, or the folder cannot be written to.
        """
        place = self._place(shard)
        if place.is_file():
            return place
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_room(shard.size, place)
        checksum = Checksum("sha256", shard.sha256)
        _patiently(lambda: download(url, place, checksum, shown=False))
        return place

    def mark(self, shard: Shard) -> None:
        """Let a shard that is here make room only after those that were marked before.

        Reading does not mark: the last batches of a window would push out the next one.
        """
        with suppress(FileNotFoundError):
            os.utime(self._place(shard))

    def _place(self, shard: Shard) -> Path:
        return self.folder / f"{shard.sha256[:32]}.tar"

    def _make_room(self, needed: int, place: Path) -> None:
        with FileLock(self.folder / ".room.lock"):
            found = sorted(_state(file) for file in self.folder.glob("*.tar"))
            held = sum(size for _, size, _ in found) + needed
            for _, size, name in found:
                if held <= self.limit:
                    return
                if name != place.name:
                    held -= size
                    (self.folder / name).unlink(missing_ok=True)


class ShardSet:
    """The shards of one index, open to be read.

    Args:
        place: A folder, or the URL that their names are appended to.

    Attributes:
        index: What they hold.
        cache: Where those of a URL are kept; may be replaced before the first is read.

    Raises:
        ShardError: The index is missing, damaged, or contradicts itself.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place).rstrip("/") if is_url(place) else Path(place).expanduser()
        self.cache = ShardCache(cache_folder() / "shards", int(DEFAULT_CACHE_GB * 1e9))
        content = self._read_index()
        self.index: ShardIndex = parse_index(content, self._where(INDEX))
        self._digest = bytes_hash(content)
        self._index_content = content if self.is_remote else b""

    @property
    def is_remote(self) -> bool:
        """Whether the shards have to be fetched."""
        return isinstance(self.place, str)

    @cached_property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(shard.size for shard in self.index.shards)

    def label(self, shard: int, name: str, extension: str) -> Path:
        """What messages call a file within a shard; nothing lies there."""
        place = str(self.place).partition("://")[2] if self.is_remote else self.place
        return Path(place) / self.index.shards[shard].file / f"{name}.{extension}"

    def read(self, shard: int, members: Sequence[Member]) -> list[bytes]:
        """Files of a shard, compared with their checksums.

        Args:
            shard: Its number in the index.
            members: Which files of it, of one sample: they lie beside each other.

        Raises:
            ShardError: The shard is missing, cut, or not the one that the index lists.
        """
        where = self._where(self.index.shards[shard].file)
        try:
            found, fault = self._read_members(shard, members)
            if fault is not None and self.is_remote:  # of this machine's disk: fetch it again
                self.fetch(shard).unlink(missing_ok=True)
                found, fault = self._read_members(shard, members)
        except OSError as error:
            if is_full(error):
                raise ShardError(f"{where}: {file_fault(error, self.cache.folder)}") from None
            found, fault = [], error.strerror or str(error)
        if fault is not None:
            raise ShardError(f"{where}: {fault}. {SHARD_ADVICE}")
        return found

    def fetch(self, shard: int) -> Path:
        """The file of a shard; those of a URL are fetched first.

        Raises:
            ShardError: It did not come, or is another than the index lists.
        """
        found = self.index.shards[shard]
        if not isinstance(self.place, str):
            return self.place / found.file
        try:
            return self.cache.path(found, f"{self.place}/{found.file}")
        except DownloadError as error:
            raise ShardError(f"{error}. {SHARD_ADVICE}") from None

    def mark(self, shard: int) -> None:
        """Keep a shard of a URL longer than those that were marked before; see `ShardCache`."""
        if self.is_remote:
            self.cache.mark(self.index.shards[shard])

    def faults(self) -> list[str]:
        """A line for each shard that is missing or of another size than the index lists.

        A server that tells no sizes is not asked further: its shards are compared when they come.
        """
        with ThreadPoolExecutor(_ASKERS) as askers:
            found = askers.map(self._size_fault, self.index.shards)
            return [fault for fault in found if fault is not None]

    def index_file(self, folder: Path) -> Path:
        """A file with the index's content.

        Args:
            folder: Where that of a URL is put.
        """
        if isinstance(self.place, Path):
            return self.place / INDEX
        path = folder / "shards" / f"{self._digest[:32]}.json"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, self._index_content)
        return path

    def _read_members(
        self, shard: int, members: Sequence[Member]
    ) -> tuple[list[bytes], str | None]:
        """Files of a shard, and what is wrong with them."""
        start = min(member.offset for member in members)
        end = max(member.offset + member.size for member in members)
        content = self._read_at(shard, start, end - start)
        if len(content) < end - start:
            return [], f"it ends at byte {start + len(content)}, and by the index after {end}"
        found = [content[m.offset - start : m.offset - start + m.size] for m in members]
        for part, member in zip(found, members, strict=True):
            if zlib.crc32(part) != member.crc:
                return [], f"the file at byte {member.offset} is not the one in the index (CRC-32)"
        return found, None

    def _read_at(self, shard: int, start: int, length: int) -> bytes:
        # Opened each time: threads share nothing, and a file that made room for others takes none.
        for _ in range(_FETCHES if self.is_remote else 0):
            with suppress(FileNotFoundError):  # it made room since
                return _bytes_of(self.fetch(shard), start, length)
        return _bytes_of(self.fetch(shard), start, length)

    def _read_index(self) -> bytes:
        if isinstance(self.place, Path):
            path = self.place / INDEX
            if not path.is_file():
                raise ShardError(
                    f"no file {path}: the folder holds no shards of finecut; finecut data shard"
                    " writes them"
                )
            return path.read_bytes()
        url = self._where(INDEX)
        try:
            with TemporaryDirectory() as folder:
                place = Path(folder) / INDEX
                _patiently(lambda: download(url, place, shown=False))
                return place.read_bytes()
        except DownloadError as error:
            raise ShardError(f"{error}: no index of shards is there") from None

    def _where(self, file: str) -> str:
        return f"{self.place}/{file}"

    def _size_fault(self, shard: Shard) -> str | None:
        where = self._where(shard.file)
        try:
            if isinstance(self.place, Path):
                size: int | None = (self.place / shard.file).stat().st_size
            else:
                size = _patiently(lambda: remote_size(where))
        except FileNotFoundError:
            return f"{where} is missing"
        except (DownloadError, OSError) as error:
            return str(error)
        if size in (None, shard.size):
            return None
        return f"{where} has {size} bytes, and {shard.size} by the index: a copy that was cut?"


def _state(file: Path) -> tuple[float, int, str]:
    """When a file was marked, its bytes and its name; of one that is gone, none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return 0.0, 0, file.name
    return status.st_mtime, status.st_size, file.name


def _bytes_of(path: Path, start: int, length: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), length, start)


def require_room(sets: Iterable[ShardSet], cache: ShardCache) -> None:
    """Refuse a cache for which the disk has no room, before anything is fetched.

    Raises:
        ShardError: With the bytes that are free.
    """
    needed = min(cache.limit, sum(each.size for each in sets if each.is_remote))
    cache.folder.mkdir(parents=True, exist_ok=True)
    held = sum(file.stat().st_size for file in cache.folder.glob("*.tar"))
    free = shutil.disk_usage(cache.folder).free + held
    if needed > free:
        raise ShardError(
            f"shards take up to {needed / 1e9:.1f} GB in {cache.folder}, where {free / 1e9:.1f} GB"
            " are free; lower data.shard_cache_gb, or set data.cache_dir on another disk"
        )


def _patiently(transfer: Callable[[], _Result]) -> _Result:
    """Call again, after a while, what failed by something that passes."""
    for wait in _WAITS:
        try:
            return transfer()
        except DownloadError as error:
            if not _may_pass(error):
                raise
            log.warning("%s; trying again in %g s", error, wait)
            time.sleep(wait)
    return transfer()


def _may_pass(error: DownloadError) -> bool:
    cause = error.__cause__
    if cause is None:  # offline on purpose, or not what was asked for
        return False
    status = getattr(getattr(cause, "response", None), "status_code", None)
    return status is None or status not in _LASTING or status in _PASSING
