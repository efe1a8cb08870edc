"""A video file as a player shows it: frames upright and in order, with the file's transparency.

A file that ends too early decodes without an error in most formats: `Film.missing` compares what
was read with what the file announces.
"""

import heapq
import logging
from collections import deque
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.errors import UserError, missing_extra
from src.inference.formats import Medium
from src.inference.frames import Frame
from src.inference.video_integrity import FrameCounts, shortfall

try:
    import av
except ImportError as error:
    raise missing_extra("videos need PyAV", "video") from error

log = logging.getLogger(__name__)

# FFmpeg's own decoders of these leave out the transparency, which WebM stores beside the pixels.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_WAITING = 4  # frames whose time stamps are sorted: some formats store none, and FFmpeg guesses
_ONE = 1 << 16  # 1.0 in a display matrix


class Sound(NamedTuple):
    """A packet of sound, and its frames where it has to be encoded anew."""

    packet: Any
    frames: list[Any]


class Film:
    """A video that is open for reading.

    Args:
        path: The file.
        copied: Names of the sound codecs that are handed on without being decoded.

    Attributes:
        stream: The video, as PyAV knows it.
        sounds: The sound streams.

    Raises:
        UserError: Not a video.
    """

    medium: Medium = "video"

    def __init__(self, path: Path, copied: Collection[str]) -> None:
        self.path, self.copied = path, copied
        try:
            self._movie: Any = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"{path}: not a video that can be read ({error})") from error
        images = [one for one in self._movie.streams.video if not _is_cover(one)]
        if not images or images[0].codec_context is None:
            self._movie.close()
            raise UserError(f"{path}: holds no frames of a kind that can be decoded")
        self.stream: Any = images[0]
        self.stream.thread_type = "AUTO"
        self.sounds = [one for one in self._movie.streams.audio if one.codec_context is not None]
        self.suffix = path.suffix.lower()
        self._decoder = self._alpha_decoder()
        self._seen = FrameCounts()
        self._turned = False
        left_out = [one for one in self._movie.streams if one not in (self.stream, *self.sounds)]
        self.left_out = sorted({_kind(one) for one in left_out if not self._is_chapters(one)})

    def __enter__(self) -> "Film":
        return self

    def __exit__(self, *_: object) -> None:
        self._movie.close()

    @property
    def time_base(self) -> Fraction:
        return self.stream.time_base

    @property
    def count(self) -> int | None:
        return self.stream.frames or None

    @property
    def rate(self) -> Fraction:
        """Frames a second, on the average."""
        return self.stream.average_rate or self.stream.guessed_rate or Fraction(25)

    @property
    def aspect(self) -> Fraction | None:
        """Width of a pixel by its height, of upright frames that have been read."""
        aspect = self.stream.sample_aspect_ratio
        if not aspect or aspect == 1:
            return None
        return 1 / aspect if self._turned else aspect

    @property
    def chapters(self) -> list[Any]:
        return self._movie.chapters() if hasattr(self._movie, "chapters") else []

    def batches(self, size: int) -> Iterator[tuple[list[Frame], list[Sound]]]:
        """Frames, `size` at a time, with the sound that came along.

        What cannot be decoded is left out, and counted for `missing`.
        """
        frames: list[Frame] = []
        sound: list[Sound] = []
        for one in self._in_order():
            (sound if isinstance(one, Sound) else frames).append(one)  # type: ignore[arg-type]
            if len(frames) == size:
                yield frames, sound
                frames, sound = [], []
        if frames or sound:
            yield frames, sound

    def missing(self, done: int) -> str | None:
        """What the file lacks, in words, once all of it has been read; None if nothing.

        Args:
            done: Frames that were decoded.
        """
        return shortfall(self.path, self._movie, self.stream, self._seen, done, self.rate)

    def _in_order(self) -> Iterator[Frame | Sound]:
        waiting: deque[Frame] = deque()
        times: list[int] = []
        step = max(1, round(1 / (self.rate * self.stream.time_base)))
        last: int | None = None
        for one in self._decoded():
            if isinstance(one, Sound):
                yield one
                continue
            pts = one.pts if one.pts is not None else one.dts
            if pts is None:
                pts = 0 if last is None else max([last, *times]) + step
            heapq.heappush(times, pts)
            waiting.append(self._frame(one))
            if len(waiting) > _WAITING:
                last = _later(heapq.heappop(times), last)
                yield waiting.popleft()._replace(pts=last)
        while waiting:
            last = _later(heapq.heappop(times), last)
            yield waiting.popleft()._replace(pts=last)

    def _decoded(self) -> Iterator[Any]:
        """Frames as PyAV has them, in the order in which they are shown, and sound."""
        try:
            for packet in self._movie.demux(self.stream, *self.sounds):
                is_sound = packet.stream is not self.stream
                if packet.size and not is_sound:
                    self._seen.take(packet)
                if is_sound:
                    self._seen.end(packet)
                try:
                    if is_sound:
                        copied = packet.stream.codec_context.name in self.copied
                        yield Sound(packet, [] if copied else packet.decode())
                    elif self._decoder is None:
                        yield from packet.decode()
                    else:
                        yield from self._decoder.decode(packet if packet.size else None)
                except av.FFmpegError as error:
                    log.debug("%s: a packet cannot be decoded", self.path, exc_info=error)
                    self._seen.damaged += 0 if is_sound else 1
        except av.FFmpegError as error:
            log.debug("%s: breaks off", self.path, exc_info=error)
            self._seen.cut = True

    def _alpha_decoder(self) -> Any:
        """The decoder of a WebM that says it has transparency; None for all other files."""
        name = _ALPHA_DECODERS.get(self.stream.codec_context.name)
        if name is None or self.stream.metadata.get("alpha_mode") != "1":
            return None
        try:
            return av.CodecContext.create(name, "r")
        except ValueError:  # av's UnknownCodecError
            log.warning("%s: its transparency cannot be read: FFmpeg lacks %s", self.path, name)
            return None

    def _frame(self, frame: Any) -> Frame:
        alpha = None
        if any(part.is_alpha for part in frame.format.components) or frame.format.name == "pal8":
            layer = self._upright(frame, frame.to_ndarray(format="rgba"))
            pixels, alpha = np.ascontiguousarray(layer[..., :3]), layer[..., 3].copy()
        else:
            pixels = self._upright(frame, frame.to_ndarray(format="rgb24"))
        return Frame(pixels, alpha, 0, int(frame.colorspace), frame.duration or 0)

    def _upright(self, frame: Any, pixels: np.ndarray) -> np.ndarray:
        """Turn and mirror the pixels `(H, W, C)` of a frame as a player would."""
        (a, b), (c, d) = _matrix(frame, self.stream)
        self._turned = abs(b) + abs(c) > abs(a) + abs(d)
        if self._turned:
            pixels, a, d = pixels.transpose(1, 0, 2), c, b
        return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])

    def _is_chapters(self, stream: Any) -> bool:
        """An .mp4 lists its chapters as a stream of texts too."""
        return bool(self.chapters) and stream.type == "data"


def _matrix(frame: Any, stream: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """The linear part of a display matrix: x' = a x + c y, y' = b x + d y; y points down."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is not None:
        a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
        if (a, b, c, d) != (0, 0, 0, 0):
            return (a, b), (c, d)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    turns = _quarter_turns(tags.get("rotate", "0"))
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    return (cosine * _ONE, sine * _ONE), (-sine * _ONE, cosine * _ONE)


def _quarter_turns(degrees: str) -> int:
    """Clockwise, of the tag that older tools wrote in place of a matrix."""
    try:
        return round(float(degrees) / 90) % 4
    except (ValueError, OverflowError):
        return 0


def _later(pts: int, last: int | None) -> int:
    return pts if last is None else max(pts, last + 1)


def _is_cover(stream: Any) -> bool:
    """An image of the cover or a thumbnail, which is no film."""
    cover = av.stream.Disposition.attached_pic
    return bool(int(getattr(stream, "disposition", 0)) & int(cover))


def _kind(stream: Any) -> str:
    if stream.type == "video":
        return "cover images" if _is_cover(stream) else "further videos"
    names = {"subtitle": "subtitles", "audio": "sound of an unknown kind"}
    return names.get(stream.type, "data tracks")
