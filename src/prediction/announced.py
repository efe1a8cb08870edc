"""What a video file announces beside what was read of it.

No one place can be trusted: Matroska and MPEG announce no number of frames, variable frame rates
make a number out of a duration wrong, and trimmed files announce what is not shown. So a file is
only called incomplete where its own index, or the time that its packets cover, says so.
"""

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from .file_sizes import breaks_off


@dataclass
class Seen:
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
        self.end(packet)

    def end(self, packet: Any) -> None:
        """Note when a packet of any stream ends."""
        if packet.pts is not None and packet.time_base:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.last = max(self.last, end)


def shortfall(
    path: Path, movie: Any, stream: Any, seen: Seen, done: int, rate: Fraction
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


def _announced_seconds(movie: Any, stream: Any, seen: Seen, cut: bool) -> float | None:
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


def _lacks(length: float, seen: Seen, time_base: Fraction, rate: Fraction) -> bool:
    """Whether the packets cover clearly less than `length` seconds."""
    gaps = _gaps(seen.times)
    gap = sorted(gaps)[len(gaps) // 2] if gaps else seen.lasting or 1 / (rate * time_base)
    covered = seen.untimed * gap
    if seen.times:
        covered += seen.times[-1] + (seen.lasting or gap) - seen.times[0]
    # Of a variable rate the last frames may stand still, and those of decoding come earlier.
    slack = gap / 2 if _is_steady(gaps) else 3 * max(gaps)
    return length / float(time_base) - covered > slack


def _is_steady(gaps: list[int]) -> bool:
    return not gaps or max(gaps) - min(gaps) <= max(2, min(gaps) / 20)


def _gaps(times: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(times)]
