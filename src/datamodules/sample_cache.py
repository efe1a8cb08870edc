"""Resized training samples, decoded once: memory-mapped files shared by workers and processes.

The files hold the very bytes that decoding and resizing give, so that a cached run equals an
uncached one. They are keyed by the files' names, sizes and times of change and by every setting
that decides the bytes; anything else makes another cache. Each sample carries a checksum: what a
disk has damaged is decoded again, never trained on.
"""

import atexit
import logging
import math
import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from src.cache import CacheFolder
from src.datamodules.images import ImageError
from src.datamodules.pairs import DataError
from src.errors import UserError
from src.progress import track

log = logging.getLogger(__name__)

Maps = tuple[np.ndarray, np.ndarray]
_SHARED_MEMORY = Path("/dev/shm")
_FORMAT = 2
_MISSING, _CACHED, _UNREADABLE = 0, 1, 2


class Resizable(Protocol):
    """What can be cached."""

    def __len__(self) -> int: ...

    def resized(self, item: int) -> Maps: ...


class SampleCache:
    """An open cache: `cache[item]` is image (h, w, 3) and mask (h, w), uint8.

    The arrays are copy-on-write views of the files: changing them changes no file. A sample that
    could not be read when the cache was made is an `ImageError`; one that is not what was written
    is None, with a warning. Each process checks a sample once, when it first reads it.

    Args:
        folder: A finished cache.
        count: Samples in it.
        size: Their height and width.
    """

    def __init__(self, folder: Path, count: int, size: tuple[int, int]) -> None:
        self.folder, self.count, self.size = folder, count, size
        self.images, self.masks = _map(folder, count, size, "c")
        self.state = _open(folder / "done", (count,), "c")
        self.checksums = _open(folder / "checksums", (count, 4), "c")
        self._checked = np.zeros(count, np.bool_)
        self._warned = False

    def __getitem__(self, item: int) -> Maps | None:
        if self.state[item] == _UNREADABLE:
            raise ImageError(f"{self.folder}: sample {item} could not be read to be cached")
        image, mask = np.asarray(self.images[item]), np.asarray(self.masks[item])
        if not self._checked[item]:
            if self.state[item] != _CACHED or self.checksums[item].tobytes() != _checksum(
                item, image, mask
            ):
                self._warn(item)
                return None
            self._checked[item] = True
        return image, mask

    def _warn(self, item: int) -> None:
        if not self._warned:
            log.warning(
                "%s: sample %d is damaged; it, and others like it, are decoded each time. Remove "
                "the folder to have the cache made again",
                self.folder,
                item,
            )
        self._warned = True

    def __reduce__(self) -> tuple[type["SampleCache"], tuple[Path, int, tuple[int, int]]]:
        # A process that is spawned opens the files; pickling the arrays would copy them all.
        return SampleCache, (self.folder, self.count, self.size)


def open_cache(
    samples: Resizable,
    size: tuple[int, int],
    key: str,
    kind: Literal["disk", "ram"],
    folder: Path,
    workers: int = 4,
    on_error: Literal["stop", "skip"] = "stop",
) -> SampleCache:
    """Open the cache of `key`, made first where it is not there; processes make it once.

    A build that was killed goes on where it was. `ram` puts the same files into the system's
    shared memory, and the process that made them removes them when it ends.

    Args:
        samples: Decodes and resizes.
        size: Height and width of each sample.
        key: Changes with whatever changes the samples' bytes.
        kind: Where the files go.
        folder: Parent of a cache on disk.
        workers: Threads that build.
        on_error: `stop` where images cannot be read, or `skip` them, with a warning each.

    Raises:
        UserError: Not enough room, or no shared memory on this system.
        DataError: Images that cannot be read, all of them.
    """
    parent = _shared_memory_folder() if kind == "ram" else folder
    cache, count = CacheFolder(parent, "samples", _FORMAT), len(samples)
    finished = cache.path(key)
    with cache.lock(key):
        if finished.is_dir() and not _is_whole(finished, count, size):
            log.warning("%s: files are missing or cut short; it is made again", finished)
            shutil.rmtree(finished)
        if not finished.is_dir():
            _build(samples, size, finished, workers, on_error)
            if kind == "ram":
                atexit.register(shutil.rmtree, finished, ignore_errors=True)
        return SampleCache(finished, count, size)


def _shared_memory_folder() -> Path:
    if not _SHARED_MEMORY.is_dir():
        raise UserError(
            "data.cache=ram needs /dev/shm, which this system lacks; use data.cache=disk"
        )
    folder = _SHARED_MEMORY / f"finecut-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        # Everyone may make folders there; samples of someone else's are none of this data set.
        raise UserError(f"data.cache=ram: {folder} belongs to someone else; use data.cache=disk")
    return folder


def _build(
    samples: Resizable, size: tuple[int, int], finished: Path, workers: int, on_error: str
) -> None:
    partial = finished.with_name(f"{finished.name}.partial")
    partial.mkdir(exist_ok=True)
    count = len(samples)
    _require_room(partial, count, size)
    images, masks = _map(partial, count, size, "r+")
    done = _open(partial / "done", (count,), "r+")
    checksums = _open(partial / "checksums", (count, 4), "r+")

    def store(item: int) -> str | None:
        try:
            images[item], masks[item] = samples.resized(item)
        except ImageError as error:
            done[item] = _UNREADABLE if on_error == "skip" else _MISSING
            return str(error)
        checksums[item] = np.frombuffer(_checksum(item, images[item], masks[item]), np.uint8)
        done[item] = _CACHED
        return None

    missing = np.flatnonzero(done == _MISSING).tolist()
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        results = pool.map(store, missing)
        faults = [f for f in track(results, "caching samples", len(missing)) if f]
    if faults and on_error == "stop":
        raise DataError("cache", faults)
    for fault in faults:
        log.warning("not cached: %s", fault)
    for array in (images, masks, checksums, done):
        array.flush()
    # The name appears only when all is there: nobody ever opens a half-made cache.
    partial.rename(finished)


def _require_room(folder: Path, count: int, size: tuple[int, int]) -> None:
    needed = count * (size[0] * size[1] * 4 + 5)
    there = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    free = shutil.disk_usage(folder).free + there
    message = f"{count} samples of {size[0]}×{size[1]} take {needed / 2**30:.2f} GiB in {folder}"
    if needed > free:
        raise UserError(
            f"data.cache: {message}, where {free / 2**30:.2f} GiB are free; use data.cache=none, or"
            " data.cache_dir on another disk"
        )
    log.info("making the cache: %s", message)


def _is_whole(folder: Path, count: int, size: tuple[int, int]) -> bool:
    """Whether a finished cache has all its files at their length: a shorter one has no map."""
    pixels = size[0] * size[1]
    sizes = {"images": 3 * pixels, "masks": pixels, "done": 1, "checksums": 4}
    files = [(folder / name, count * of_one) for name, of_one in sizes.items()]
    return all(path.is_file() and path.stat().st_size == length for path, length in files)


def _checksum(item: int, image: np.ndarray, mask: np.ndarray) -> bytes:
    """Four bytes that say which sample this is, and that it is what was written."""
    checksum = zlib.crc32(item.to_bytes(8, "little"))
    for pixels in (image, mask):
        checksum = zlib.crc32(np.ascontiguousarray(pixels).data, checksum)
    return checksum.to_bytes(4, "little")


def _map(
    folder: Path, count: int, size: tuple[int, int], mode: Literal["r+", "c"]
) -> tuple[np.memmap, np.memmap]:
    images = _open(folder / "images", (count, *size, 3), mode)
    return images, _open(folder / "masks", (count, *size), mode)


def _open(path: Path, shape: tuple[int, ...], mode: Literal["r+", "c"]) -> np.memmap:
    if mode == "r+":
        _reserve(path, math.prod(shape))
    return np.memmap(path, np.uint8, mode, shape=shape)


def _reserve(path: Path, size: int) -> None:
    """Make a file of zeros, or leave it as it is, with its room on the disk.

    A full disk is an error here; met later, through the map, it is a signal that kills.
    """
    with path.open("ab") as file:
        if hasattr(os, "posix_fallocate"):  # Linux
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
