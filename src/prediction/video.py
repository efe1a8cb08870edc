"""Videos frame by frame: size, time stamps and sound stay as they are. Needs PyAV."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from src.errors import UserError, missing_extra

from .jobs import Source
from .outputs import Cut, Output
from .plan import Plan
from .segmenter import Segmenter
from .smoothing import Smoother

try:
    import av
except ImportError as error:
    raise missing_extra("videos need PyAV", "video") from error

# Sound that an .mp4 or .mov takes as it is; any other is encoded anew.
_COPIED_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}
_H264 = ("libx264", "libopenh264", "mpeg4")

Report = Callable[[int, int | None], None]
Sound = tuple[Any, list[Any]]  # a packet, and its frames where it must be encoded anew


def predict_video(segmenter: Segmenter, source: Source, plan: Plan, report: Report) -> None:
    """Make the plan's outputs of a video: `.mp4` (H.264), with transparency `.mov` (ProRes 4444).

    Args:
        report: Called with the frames that are done and their expected number, if known.

    Raises:
        UserError: Not a video, or damaged.
    """
    smoother = Smoother(plan.smoothing)
    with ExitStack() as stack:
        movie = stack.enter_context(_open(source.path))
        stream = movie.streams.video[0]
        stream.thread_type = "AUTO"
        writers = [stack.enter_context(_Writer(plan, source, output)) for output in plan.outputs]
        done = 0
        for frames, sound in _batches(movie, segmenter.batch_size, source.path):
            for writer in writers:
                writer.sound(sound, movie)
            pixels = [_upright(frame) for frame in frames]
            masks = segmenter.masks(
                pixels, detail=plan.detail, flip=plan.flip, overlap=plan.overlap
            )
            for frame, picture, mask in zip(frames, pixels, masks, strict=True):
                cut = Cut(picture, smoother(mask, picture), estimate=plan.estimate)
                for writer in writers:
                    writer.picture(cut, frame, stream)
            done += len(frames)
            report(done, stream.frames or None)
        if done == 0:
            raise UserError(f"{source.path}: holds no frame that can be decoded")
        for writer in writers:
            writer.finish()


class _Writer:
    """One output file; it gets its name when it is complete."""

    def __init__(self, plan: Plan, source: Source, output: Output) -> None:
        self.output = output
        self.path = plan.target(source, output, ".mov" if output.alpha else ".mp4")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        self.container: Any = av.open(str(self.temporary), "w")
        self.video: Any = None
        self.audio: dict[int, Any] = {}
        self.waiting: list[Sound] = []
        self.finished = False

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.finished:
            self.container.close()
        self.temporary.unlink(missing_ok=True)

    def sound(self, packets: list[Sound], movie: Any) -> None:
        """Keep packets of sound until the first picture has told the size of the video."""
        for stream in movie.streams.audio if not self.audio else ():
            if stream.codec_context.name in _COPIED_SOUND:
                self.audio[stream.index] = self.container.add_stream_from_template(stream)
            else:
                self.audio[stream.index] = self.container.add_stream("aac", rate=stream.rate)
        self.waiting += packets
        if self.video is not None:
            self._flush_sound()

    def picture(self, cut: Cut, like: Any, stream: Any) -> None:
        """Encode what the output makes of a frame, at the time of the frame `like`."""
        pixels = self.output.render(cut)
        if self.video is None:
            self.video = self._add_video(pixels, like, stream)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        frame = av.VideoFrame.from_ndarray(pixels, "rgba" if self.output.alpha else "rgb24")
        frame = frame.reformat(format=self.video.pix_fmt, dst_colorspace=_matrix(like))
        frame.pts, frame.time_base = like.pts, like.time_base
        self.container.mux(self.video.encode(frame))
        self._flush_sound()

    def finish(self) -> None:
        self.container.mux(self.video.encode())
        for stream in self.audio.values():
            if stream.codec_context.is_encoder and stream.codec_context.is_open:
                self.container.mux(stream.encode(None))
        self.container.close()
        self.finished = True
        self.temporary.replace(self.path)

    def _add_video(self, pixels: np.ndarray, like: Any, stream: Any) -> Any:
        codec = "prores_ks" if self.output.alpha else next(c for c in _H264 if _encodes(c))
        video = self.container.add_stream(codec, rate=stream.average_rate or Fraction(25))
        video.height, video.width = pixels.shape[:2]
        odd = video.height % 2 or video.width % 2
        video.pix_fmt = "yuv444p" if odd else "yuv420p"
        if codec == "prores_ks":
            video.pix_fmt, video.options = "yuva444p10le", {"profile": "4444"}
        elif codec == "libx264":
            video.options = {"crf": "17", "preset": "medium"}
        context = video.codec_context
        context.time_base = stream.time_base
        context.colorspace = _matrix(like)
        context.color_primaries = stream.codec_context.color_primaries
        context.color_trc = stream.codec_context.color_trc
        return video

    def _flush_sound(self) -> None:
        for packet, frames in self.waiting:
            stream = self.audio[packet.stream.index]
            if packet.stream.codec_context.name not in _COPIED_SOUND:
                for frame in frames:
                    self.container.mux(stream.encode(frame))
            elif packet.dts is not None:  # None marks the end
                self.container.mux(_copy(packet, stream))
        self.waiting.clear()


def _open(path: Path) -> Any:
    try:
        movie = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path}: not a video that can be read ({error})") from error
    if not movie.streams.video:
        movie.close()
        raise UserError(f"{path}: holds no pictures")
    return movie


def _batches(movie: Any, size: int, path: Path) -> Iterator[tuple[list[Any], list[Sound]]]:
    """Frames, `size` at a time, with the packets of sound that came along."""
    frames: list[Any] = []
    sound: list[Sound] = []
    try:
        for packet in movie.demux(movie.streams.video[0], *movie.streams.audio):
            if packet.stream.type == "audio":
                copied = packet.stream.codec_context.name in _COPIED_SOUND
                sound.append((packet, [] if copied else packet.decode()))
                continue
            for frame in packet.decode():
                frames.append(frame)
                if len(frames) == size:
                    yield frames, sound
                    frames, sound = [], []
    except av.FFmpegError as error:
        raise UserError(f"{path}: damaged ({error})") from error
    if frames or sound:
        yield frames, sound


def _copy(packet: Any, stream: Any) -> Any:
    """A packet for one of several output files; muxing marks it as that file's."""
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
    return copy


def _upright(frame: Any) -> np.ndarray:
    """The pixels `(H, W, 3)` of a frame, turned as a player would."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def _matrix(frame: Any) -> int:
    """The frame's YUV matrix; unmarked ones are read as BT.601 and must be written so."""
    unspecified, smpte170m = 2, 6
    return smpte170m if int(frame.colorspace) == unspecified else int(frame.colorspace)


def _encodes(codec: str) -> bool:
    try:
        av.Codec(codec, "w")
    except ValueError:  # av's UnknownCodecError
        return False
    return True
