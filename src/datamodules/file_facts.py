"""What is found out about a set's files once and kept: contents, faults of masks."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock

from src.atomic import atomic_write
from src.datamodules.images import ImageError, judge_mask
from src.datamodules.mask_levels import ALL_BLACK, Scale, mask_fault, mixed_scales
from src.datamodules.pairs import ImageMaskPair, state_hash
from src.jsonl import from_line, to_line

log = logging.getLogger(__name__)
_READERS = 16
_BLOCK = 8 << 10
# A changed pixel changes all that follows it, sizes and checksums at the end included.
_COMPRESSED = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".jp2"})
__all__ = ["ALL_BLACK", "mask_fault", "mask_faults"]
# Changes with the judgement, so that what an older one found is found anew.
_JUDGEMENT = 2


def cached_json(folder: Path, name: str, find: Callable[[], Any]) -> Any:
    """Plain values from `<folder>/<name>.json`, found and written first where it is not there.

    Processes that ask at once find them once. What `find` raises is remembered nowhere. A file
    that is damaged, or of an older version, is found and written again.

    Args:
        folder: Where such files are kept.
        name: Has to change with whatever changes the values.
        find: Finds them.
    """
    note = folder / f"{name}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(note.with_suffix(".lock")):
        if note.is_file():
            try:
                return from_line(note.read_bytes())
            except ValueError:
                log.warning("%s is damaged or of an older version: it is made again", note)
        line = to_line(find())
        atomic_write(note, line)
        return from_line(line)


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
    found: dict[str, str] = cached_json(
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


def mask_faults(
    pairs: Sequence[ImageMaskPair], memory: Path, allow_empty: bool = False, readers: int = 4
) -> dict[str, str]:
    """Read every mask once and say by path which are faulty; a second call reads nothing.

    Args:
        pairs: What is going to be trained on.
        memory: Folder where results are kept, by the files' names, sizes and times of change.
        allow_empty: Accept all-black masks.
        readers: Threads.
    """

    def find() -> dict[str, str]:
        log.info("reading %d masks once to check them", len(pairs))
        with ThreadPoolExecutor(max(readers, 1)) as pool:
            found = list(pool.map(lambda pair: _fault_of_file(pair, allow_empty), pairs))
        scales = [scale for scale, _ in found]
        mixed = mixed_scales([pair.set for pair in pairs], scales)
        faults = {}
        for pair, (_, fault), other in zip(pairs, found, mixed, strict=True):
            if text := fault or (other and f"{pair.mask}: {other}"):
                faults[str(pair.mask)] = text
        return faults

    key = f"masks-{state_hash(pairs, allow_empty, _JUDGEMENT)}"
    faults: dict[str, str] = cached_json(memory, key, find)
    return faults


def _fault_of_file(pair: ImageMaskPair, allow_empty: bool) -> tuple[Scale | None, str | None]:
    """The scale of a mask's levels, where that is known, and what is wrong with them."""
    try:
        mask, scale, fault = judge_mask(pair.mask)
    except ImageError as error:
        return None, str(error)
    fault = fault or mask_fault(mask, allow_empty)
    return scale, fault and f"{pair.mask}: {fault}"
