"""Compares a checkpoint with the checksums that it carries, and hashes it in the same pass."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterable
from itertools import pairwise
from typing import IO, NamedTuple

_BLOCK = 1 << 22
_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes, before a record's name
_MOST_RECORDS = 200_000


class DamagedError(ValueError):
    """The file is not what was written; the message is a part of a sentence."""


class _Record(NamedTuple):
    start: int
    end: int
    crc: int
    name: str


def verified_hashes(file: IO[bytes], algorithms: Iterable[str] = ("sha256",)) -> dict[str, str]:
    """Hashes of an open file; of a zip, each record is compared with its CRC-32.

    torch compares none, so that a flipped bit becomes another weight. Files of before PyTorch 1.6
    are no zip and carry no checksums.

    Raises:
        DamagedError: A record differs from its checksum, or the archive is not as torch writes it.
    """
    records = _records(file) if _is_zip(file) else []
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    position, index, crc = 0, 0, 0
    file.seek(0)
    while block := file.read(_BLOCK):
        for digest in digests.values():
            digest.update(block)
        end = position + len(block)
        while index < len(records) and records[index].start < end:
            record = records[index]
            inside = memoryview(block)[max(0, record.start - position) : record.end - position]
            crc = zlib.crc32(inside, crc)
            if record.end > end:
                break  # goes on in the next block
            _compare(record, crc)
            index, crc = index + 1, 0
        position = end
    for record in records[index:]:  # behind the end, or cut off by it
        _compare(record, crc)
        crc = 0
    return {name: digest.hexdigest() for name, digest in digests.items()}


def check_pickle(file: IO[bytes]) -> None:
    """Compare the one record that says what the others are; the tensors are not read."""
    if not _is_zip(file):
        return
    for record in _records(file):
        if record.name.endswith("data.pkl"):
            file.seek(record.start)
            _compare(record, zlib.crc32(file.read(record.end - record.start)))


def _is_zip(file: IO[bytes]) -> bool:
    """As torch decides it."""
    file.seek(0)
    return file.read(len(_MAGIC)) == _MAGIC


def _records(file: IO[bytes]) -> list[_Record]:
    """The records of a zip in the order in which they lie, without empty ones."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DamagedError(f"is damaged ({error})") from error
    if len(entries) > _MOST_RECORDS:
        raise DamagedError(f"has {len(entries)} records, more than any checkpoint")
    found = []
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise DamagedError(f"has a compressed record ({entry.filename}): torch writes none")
        file.seek(max(0, entry.header_offset))
        header = file.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or not header.startswith(_MAGIC):
            raise DamagedError(f"is damaged: {entry.filename} is not where it should be")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = entry.header_offset + _LOCAL_HEADER + lengths
        found.append(_Record(start, start + entry.file_size, entry.CRC, entry.filename))
    found.sort()
    for before, after in pairwise(found):
        if after.start < before.end:
            raise DamagedError(f"is damaged: {after.name} overlaps {before.name}")
    return found


def _compare(record: _Record, crc: int) -> None:
    if crc != record.crc:
        raise DamagedError(f"is damaged: {record.name} differs from its checksum")
