"""Whether a file is a checkpoint, and whether it still holds what its own checksums say."""

import string
import zipfile
import zlib
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

from src.hashing import new_hash

_HEAD = 4096
_AGAIN = "download it again"
_CONVERT = "load it where it comes from and save its state_dict() with torch.save"
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6

# What a file begins with, what that is, and what to do.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, which stands for a file that was not fetched",
        "run git lfs pull in its folder, or download the file itself",
    ),
    (b"\x89HDF", "an HDF5 file (Keras)", "finecut reads PyTorch checkpoints only"),
    (b"\x93NUMPY", "a NumPy array", "finecut reads PyTorch checkpoints only"),
    (b"GGUF", "a GGUF file", "finecut reads PyTorch checkpoints only"),
    (b"\x1f\x8b", "a gzip archive", "unpack it and give the file inside"),
    (b"BZh", "a bzip2 archive", "unpack it and give the file inside"),
    (b"\xfd7zXZ", "an xz archive", "unpack it and give the file inside"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it and give the file inside"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it and give the file inside"),
    (b"Rar!", "a RAR archive", "unpack it and give the file inside"),
    (b"\x89PNG", "a PNG image", "give the file of the weights"),
    (b"\xff\xd8\xff", "a JPEG image", "give the file of the weights"),
    (b"%PDF", "a PDF document", "give the file of the weights"),
)
# The field numbers of ONNX's ModelProto that follow its version.
_ONNX_FIELDS = frozenset((0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42))
_BLOCK = 1 << 22
_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER = 30  # bytes, before a record's name
_MOST_RECORDS = 200_000


def not_a_checkpoint(path: Path) -> str | None:
    """What a file is and what to do, where it is neither torch.save's nor safetensors, or None."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return f"is empty, as after a download or a copy that broke off; {_AGAIN}"
    for beginning, kind, advice in _BEGINNINGS:
        if head.startswith(beginning):
            return f"is {kind}; {advice}"
    if head.startswith(b"PK\x03\x04"):
        return _of_a_zip(path)
    if head.startswith(_LEGACY) or is_safetensors(head):
        return None
    for looks_like, kind, advice in _LOOKS:
        if looks_like(head):
            return f"is {kind}; {advice}"
    return f"is nothing that torch.save wrote; {_AGAIN}, or {_CONVERT}"


def _of_a_zip(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return f"is incomplete: its end is missing; {_AGAIN}"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        return f"is damaged ({_line(error)}); {_AGAIN}"
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends:
        return f"is a TorchScript archive, a program and not weights; {_CONVERT}"
    if any(end.startswith(("serialized_exported_program", "archive_format")) for end in ends):
        return f"is a program of torch.export and not weights; {_CONVERT}"
    if "data.pkl" not in ends:
        return "is a zip archive without weights of PyTorch; unpack it and give the file inside"
    return None


def _is_html(head: bytes) -> bool:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<body"))


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins so is one: the length of a JSON object, and the object."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27


def looks_like_onnx(head: bytes) -> bool:
    """Whether a file that begins so may be an ONNX model."""
    return len(head) > 2 and head[0] == 0x08 and head[1] < 32 and head[2] in _ONNX_FIELDS


def _is_text(head: bytes) -> bool:
    return all(chr(byte) in string.printable or byte >= 0x80 for byte in head)


_LOOKS: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (
        _is_html,
        "a web page",
        "the server answered with a page, of a quota or a login, in place of the file: download "
        "it with a browser",
    ),
    (
        looks_like_onnx,
        "an ONNX file",
        "it runs as it is (predict, evaluate, app), and here takes the checkpoint that it was "
        "exported from",
    ),
    (lambda head: head[257:262] == b"ustar", "a tar archive", "unpack it and give the file inside"),
    (lambda head: head[4:8] == b"TFL3", "a TensorFlow Lite file", "give a PyTorch checkpoint"),
    (
        lambda head: head[0] == 0x80 and 2 <= head[1] <= 5 if len(head) > 1 else False,
        "a Python pickle that torch.save did not write, and could run code",
        _CONVERT,
    ),
    (_is_text, "a text", "give the file of the weights: .pth, .ckpt, .safetensors"),
)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
    digests = {name: new_hash(name) for name in algorithms}
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
