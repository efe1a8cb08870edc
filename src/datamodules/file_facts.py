"""What is found out about a set's files once and kept: contents, faults of masks."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from src.cache import CacheFolder, key_of_files
from src.datamodules.file_kinds import IMAGE_KINDS
from src.datamodules.images import ImageError, judge_mask
from src.datamodules.mask_levels import ALL_BLACK, Scale, mask_fault, mixed_scales
from src.datamodules.pairs import ImageMaskPair, files_of
from src.hashing import checksum

log = logging.getLogger(__name__)
_READERS = 16
_BLOCK = 8 << 10
# A changed pixel changes all that follows it, sizes and checksums at the end included.
_COMPRESSED = {".jp2"} | {
    suffix
    for kind in IMAGE_KINDS.values()
    if kind.format not in ("BMP", "TIFF")
    for suffix in kind.suffixes
}
__all__ = ["ALL_BLACK", "mask_fault", "mask_faults"]
# Changes with the judgement, so that what an older one found is found anew.
_JUDGEMENT = 2


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
    key = key_of_files(files.values(), list(files), strict=True)
    found: dict[str, str] = CacheFolder(cache, "contents", 1).get_json(
        key, lambda: _read_all(files)
    )
    return found


def digest(path: Path) -> str:
    """Twelve letters that change with what a file holds; runs keep them in `data.json`."""
    with path.open("rb") as file:
        return checksum(_telling_parts(path, file), digits=12)


def _telling_parts(path: Path, file: BinaryIO) -> Iterator[bytes]:
    size = path.stat().st_size
    yield str(size).encode()
    if path.suffix.lower() not in _COMPRESSED or size <= 3 * _BLOCK:
        while block := file.read(1 << 20):
            yield block
        return
    for start in (0, size // 2, size - _BLOCK):
        file.seek(start)
        yield file.read(_BLOCK)


def _read_all(files: Mapping[str, Path]) -> dict[str, str]:
    with ThreadPoolExecutor(_READERS) as readers:
        return dict(zip(files, readers.map(digest, files.values()), strict=True))


def mask_faults(
    pairs: Sequence[ImageMaskPair],
    memory: Path,
    allow_empty: bool = False,
    soft: bool = False,
    readers: int = 4,
) -> dict[str, str]:
    """Read every mask once and say by path which are faulty; a second call reads nothing.

    Masks in shards were read when these were written, and are not read again.

    Args:
        pairs: What is going to be trained on.
        memory: Folder where results are kept, by the files' names, sizes and times of change.
        allow_empty: Accept all-black masks.
        soft: They are mattes.
        readers: Threads.
    """

    pairs = [pair for pair in pairs if pair.packed is None]
    if not pairs:
        return {}

    def find() -> dict[str, str]:
        log.info("reading %d masks once to check them", len(pairs))
        with ThreadPoolExecutor(max(readers, 1)) as pool:
            found = list(pool.map(lambda pair: _fault_of_file(pair, allow_empty, soft), pairs))
        scales = [scale for scale, _ in found]
        mixed = mixed_scales([pair.set for pair in pairs], scales)
        faults = {}
        for pair, (_, fault), other in zip(pairs, found, mixed, strict=True):
            if text := fault or (other and f"{pair.mask}: {other}"):
                faults[str(pair.mask)] = text
        return faults

    key = key_of_files(files_of(pairs), allow_empty, *["soft"] * soft)
    faults: dict[str, str] = CacheFolder(memory, "masks", _JUDGEMENT).get_json(key, find)
    return faults


def without_faults(
    pairs: Sequence[ImageMaskPair], faults: Mapping[str, str], on_error: str, problems: list[str]
) -> list[ImageMaskPair]:
    """The pairs whose masks are sound.

    Args:
        pairs: Of a set.
        faults: What `mask_faults` found.
        on_error: `stop` adds a faulty mask to `problems`, `skip` leaves its pair out and warns.
        problems: One line each.
    """
    faulty = [pair for pair in pairs if str(pair.mask) in faults]
    for pair in faulty:
        if on_error == "stop":
            problems.append(faults[str(pair.mask)])
        else:
            log.warning("skipped %s", faults[str(pair.mask)])
    return [pair for pair in pairs if str(pair.mask) not in faults]


def _fault_of_file(
    pair: ImageMaskPair, allow_empty: bool, soft: bool
) -> tuple[Scale | None, str | None]:
    """The scale of a mask's levels, where that is known, and what is wrong with them."""
    try:
        mask, scale, fault = judge_mask(pair.mask, soft=soft)
    except ImageError as error:
        return None, str(error)
    fault = fault or mask_fault(mask, allow_empty, soft)
    return scale, fault and f"{pair.mask}: {fault}"
