"""Video files that break off: what their containers announce beside what was read of them."""

import itertools
import math
import os
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

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


@dataclass
class FrameCounts:
    """What was read of the video's packets.

    packets: Their number.
    skipped: Of them, those that an edit list leaves out.
    damaged: Those that could not be decoded.
    cut: The last one is incomplete, or the file broke off.
    times: When each is decoded, in units of the stream.
    untimed: Packets of which that is not known.
    lasting: Duration of the last one, 0 if unknown.
    first: Time at which the video begins, in seconds.
    last: Time at which the last packet of any stream ends, in seconds.
    shown: Time at which the video ends, in seconds.
    """

    packets: int = 0
    skipped: int = 0
    damaged: int = 0
    cut: bool = False
    times: list[int] = field(default_factory=list)
    untimed: int = 0
    lasting: int = 0
    first: float = math.inf
    last: float = 0.0
    shown: float = 0.0

    def take(self, packet: Any) -> None:
        """Count a packet of the video."""
        self.packets += 1
        self.skipped += bool(getattr(packet, "is_discard", False))
        self.cut = bool(packet.is_corrupt)
        if packet.dts is None:  # Matroska stores none, so the first ones cannot be known
            self.untimed += 1
        else:
            self.times.append(packet.dts)
        self.lasting = packet.duration or 0
        if packet.pts is not None:
            self.first = min(self.first, float(packet.pts * packet.time_base))
            end = float((packet.pts + self.lasting) * packet.time_base)
            self.shown = max(self.shown, end)
        self.end(packet)

    def end(self, packet: Any) -> None:
        """Note when a packet of any stream ends."""
        if packet.pts is not None and packet.time_base:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.last = max(self.last, end)


def shortfall(
    path: Path, movie: Any, stream: Any, seen: FrameCounts, done: int, rate: Fraction
) -> str | None:
    """What a file lacks, in words, once all of it has been read; None for a whole file.

    Args:
        path: The file.
        movie, stream: The same as PyAV knows it, and its video.
        seen: What was read.
        done: Frames that were decoded.
        rate: Frames a second.
    """
    cut = seen.cut or breaks_off(path, movie.format.name)
    if "mp4" in movie.format.name:
        index = len(getattr(stream, "index_entries", ()))
        short = index > seen.packets
        # A file in fragments only has an index of those that were read.
        announced = index - seen.skipped if short or stream.frames else None
    else:
        length = _announced_seconds(movie, stream, seen, cut)
        short = length is not None and _lacks(length, seen, stream.time_base, rate)
        steady = _is_steady(_gaps(seen.times))
        announced = None if length is None or not steady else round(length * rate)
        if short and length is not None and announced is None:
            read = max(0.0, seen.last - min(seen.first, seen.last))
            return f"{done} frames, {read:.1f} of {length:.1f} announced seconds, could be decoded"
    if announced is not None and announced > done and (short or cut or seen.damaged):
        return f"{done} of {announced} announced frames could be decoded"
    if seen.damaged and seen.packets > done:
        return f"{done} of {seen.packets} frames could be decoded"
    if not cut:
        return None
    if announced is not None:
        return f"all {done} frames could be decoded, but the file breaks off, perhaps in its sound"
    return (
        f"frames that could be decoded before the file breaks off: {done}; how many it should "
        "have is not announced"
    )


def _announced_seconds(movie: Any, stream: Any, seen: FrameCounts, cut: bool) -> float | None:
    """How long the video is said to be, from its own beginning."""
    name = movie.format.name
    if "avi" in name:
        return float(stream.frames * stream.time_base) if stream.frames else None
    if "matroska" in name:  # its tag says when the stream ends, not how long it is
        end = _seconds(stream.metadata.get("DURATION", ""))
        return None if end is None else end - (seen.first if seen.packets else 0.0)
    if "asf" in name and cut and len(movie.streams) == 1:  # said of the file, sound included
        return movie.duration / 1e6 if movie.duration else None
    return None


def _seconds(clock: str) -> float | None:
    """`00:01:02.500000000` as seconds."""
    try:
        hours, minutes, seconds = clock.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _lacks(length: float, seen: FrameCounts, time_base: Fraction, rate: Fraction) -> bool:
    """Whether the packets cover clearly less than `length` seconds."""
    gaps = _gaps(seen.times)
    gap = sorted(gaps)[len(gaps) // 2] if gaps else seen.lasting or 1 / (rate * time_base)
    covered = seen.untimed * gap
    if seen.times:
        covered += seen.times[-1] + (seen.lasting or gap) - seen.times[0]
    if _is_steady(gaps):
        return length / float(time_base) - covered > gap / 2
    # Of a variable rate times of decoding say little, and the last frames may stand still.
    return length - (seen.shown - seen.first) > 3 * max(gaps) * float(time_base)


def _is_steady(gaps: list[int]) -> bool:
    return not gaps or max(gaps) - min(gaps) <= max(2, min(gaps) / 20)


def _gaps(times: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(times)]
