"""Video files that break off: the sizes they are built of go beyond their end."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

_HEAD = 1 << 16
_TAIL = 4 << 20  # bytes of an MPEG program stream in which a pack begins
_PACK, _END = 0xBA, 0xB9
_SYSTEM = 0xBB  # start codes from here on are followed by a length
_OPEN = 0xFFFFFFFF
_CARELESS = 64  # bytes by which tools get the size of a RIFF wrong
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def breaks_off(path: Path, container: str) -> bool:
    """Whether the sizes that a video file is built of go beyond its end.

    Args:
        path: The file.
        container: FFmpeg's name of its format; of those not known here none breaks off.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if "matroska" in container:
            return _end_of_matroska(file.read(_HEAD)) > size
        if "asf" in container:
            return _end_of_asf(file.read(_HEAD)) > size
        if "mp4" in container:
            return _end_of_mp4(file, size) > size
        if "avi" in container:
            return _end_of_riff(file, size) > size + _CARELESS
        if container == "mpeg":
            file.seek(max(0, size - _TAIL))
            return _ends_within_a_packet(file.read())
    return False


def _end_of_mp4(file: BinaryIO, size: int) -> int:
    """Where the last box of samples ends; what stands behind is of no account."""
    at = end = 0
    while at + 16 <= size:
        file.seek(at)
        length, kind, long = struct.unpack(">I4sQ", file.read(16))
        length = {0: size - at, 1: long}.get(length, length)
        if length < 8:
            break
        at += length
        if kind in (b"mdat", b"moof"):
            end = at
    return end


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """Where the last of the chunks ends of which a large .avi has several."""
    at = end = 0
    while at + 12 <= size:
        file.seek(at)
        kind, length, _ = struct.unpack("<4sI4s", file.read(12))
        if kind != b"RIFF" or length in (0, _OPEN):
            break
        at = end = at + 8 + length + length % 2
    return end


def _end_of_asf(data: bytes) -> int:
    at = data.find(_ASF_PROPERTIES)
    return int.from_bytes(data[at + 40 : at + 48], "little") if at >= 0 else 0


def _end_of_matroska(data: bytes) -> int:
    """Where the segment behind the header ends; 0 if that is not said."""
    header, at = _ebml_size(data, 4)
    segment, at = _ebml_size(data, at + header + 4)
    return at + segment if segment else 0


def _ebml_size(data: bytes, at: int) -> tuple[int, int]:
    """The size that stands at a place, 0 if it is left open, and the place behind it."""
    if at >= len(data) or data[at] == 0:
        return 0, at
    count = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + count], "big") & ((1 << 7 * count) - 1)
    return (0 if value == (1 << 7 * count) - 1 else value), at + count


def _ends_within_a_packet(data: bytes) -> bool:
    """Whether a program stream, of which this is the end, breaks off within a packet."""
    at = data.find(bytes((0, 0, 1, _PACK)))
    while 0 <= at <= len(data) - 6 and data[at : at + 3] == b"\0\0\1":
        code = data[at + 3]
        if code == _PACK:
            second = data[at + 4] >> 6 == 1  # MPEG-2, which may stuff bytes behind the header
            at += 14 + (data[at + 13] & 7 if len(data) > at + 13 else 0) if second else 12
        elif code == _END:
            return False
        elif code >= _SYSTEM:
            at += 6 + int.from_bytes(data[at + 4 : at + 6], "big")
        else:
            return False
    return at > len(data)
