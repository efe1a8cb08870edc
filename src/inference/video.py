"""Videos frame by frame: geometry, time stamps, sound and transparency stay. Needs PyAV."""

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from src.datamodules.raster import backdrop_of, seen
from src.errors import UserError
from src.inference.outputs import Cutout, OutputType
from src.inference.predict_config import PredictConfig
from src.inference.segmenter import Segmenter
from src.inference.sources import Source
from src.inference.video_reader import Film, Frame, Sound, av

# Mean difference of thumbnails, of 255, from which two frames are of different scenes.
_CUT = 40.0
_THUMBNAIL = (32, 32)
log = logging.getLogger(__name__)
# Sound that an .mp4 or .mov takes as it is; any other is encoded anew.
_COPIED_SOUND = {"aac", "mp3", "ac3", "eac3", "alac"}
_H264 = ("libx264", "libopenh264", "mpeg4")
# The usual places of so many loudspeakers, where a file only says how many there are.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_MATRICES = {1, 4, 5, 6, 7, 9}  # of FFmpeg's numbers those that it can convert to; 0 is RGB's
_SMPTE170M = 6
_KEPT_TAGS = ("language", "title", "handler_name")
# A .mov has numbers for some languages only, which FFmpeg knows by these names.
_MOV_LANGUAGES = {
    "deu": "ger", "fre": "fra", "nld": "dut", "swe": "sve", "zho": "chi", "ell": "gre",
    "cze": "ces", "isl": "ice", "rum": "ron", "slo": "slk", "msa": "may",
}  # fmt: skip
ProgressReport = Callable[[int, int | None], None]


class Smoother:
    """Mixes every mask with the ones before it; starts afresh at a cut.

    Args:
        share: Of the mask before, from 0 (off) to below 1. Flicker fades, and so does fast motion.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._before: np.ndarray = np.zeros(())
        self._thumbnail: np.ndarray | None = None

    def __call__(self, mask: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Smooth a uint8 mask `(H, W)` of the frame `(H, W, 3)` that follows the last one."""
        if self.share == 0:
            return mask
        thumbnail = cv2.resize(frame, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        values = mask.astype(np.float32)
        if self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() < _CUT:
            values = self.share * self._before + (1 - self.share) * values
        self._before, self._thumbnail = values, thumbnail
        return (values + 0.5).astype(np.uint8)


def predict_video(
    segmenter: Segmenter, source: Source, plan: PredictConfig, report: ProgressReport
) -> None:
    """Make the plan's outputs of a video: `.mp4` (H.264), with transparency `.mov` (ProRes 4444).

    Args:
        report: Called with the frames that are done and their expected number, if known.

    Raises:
        UserError: Not a video; or a damaged one, whose results are named `.incomplete` and hold
            what could be decoded.
    """
    smoother, judged = Smoother(plan.smoothing), _Judged()
    with ExitStack() as stack:
        film = stack.enter_context(Film(source.path, _COPIED_SOUND))
        writers = [stack.enter_context(_Writer(plan, source, output)) for output in plan.outputs]
        done = 0
        for frames, sound in film.batches(segmenter.batch_size):
            for writer in writers:
                writer.sound(sound)
            shown = [judged(frame) for frame in frames]
            masks = segmenter.masks(shown, detail=plan.detail, flip=plan.flip, overlap=plan.overlap)
            for frame, pixels, mask in zip(frames, shown, masks, strict=True):
                cut = Cutout(
                    frame.pixels,
                    smoother(mask, pixels),
                    method=plan.foreground,
                    opacity=frame.alpha,
                )
                for writer in writers:
                    writer.image(cut, frame, film)
            done += len(frames)
            report(done, film.stream.frames or None)
        missing = film.missing(done)
        if done == 0:
            raise UserError(f"{source.path}: {missing or 'holds no frame that can be decoded'}")
        places = [writer.finish(complete=missing is None) for writer in writers]
        if film.left_out:
            log.warning("%s: not carried over: %s", source.path, ", ".join(film.left_out))
        if missing:
            kept = ", ".join(map(str, places))
            raise UserError(f"{source.path}: incomplete, {missing}; they are in {kept}")


class _Judged:
    """What the network sees of the frames of a film.

    Transparency is composed over the shade that suits the first frame that shows anything, so
    that masks do not flicker.
    """

    def __init__(self) -> None:
        self._backdrop: int | None = None

    def __call__(self, frame: Frame) -> np.ndarray:
        """Pixels uint8 `(H, W, 3)` in which nothing is transparent."""
        if frame.alpha is not None and self._backdrop is None and frame.alpha.any():
            self._backdrop = backdrop_of(frame.pixels, frame.alpha)
        return seen(frame.pixels, frame.alpha, self._backdrop)


class _Writer:
    """One output file; it gets its name when it is complete."""

    def __init__(self, plan: PredictConfig, source: Source, output: OutputType) -> None:
        self.output = output
        self._target = partial(plan.target, source, output)
        self.path = self.temporary = Path()
        self.container: Any = None
        self.video: Any = None
        self.has_alpha = False
        self.size = (0, 0)
        self.audio: dict[int, Any] = {}
        self.waiting: list[Sound] = []
        self.finished = False

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.container is not None and not self.finished:
                self.container.close()
        except (av.FFmpegError, OSError) as error:  # on a full disk, which was said already
            log.debug("%s", self.temporary, exc_info=error)
        finally:
            if self.container is not None:
                self.temporary.unlink(missing_ok=True)

    def sound(self, packets: list[Sound]) -> None:
        """Keep packets of sound until the first image has told what the file will be."""
        self.waiting += packets
        if self.video is not None:
            self._flush_sound()

    def image(self, cut: Cutout, like: Frame, film: Film) -> None:
        """Encode what the output makes of a frame, at the time of the frame `like`."""
        pixels = self.output.render(cut)
        if self.video is None:
            self._begin(pixels, like, film)
        if pixels.shape[:2] != self.size:  # some recordings change size; players scale them too
            pixels = cv2.resize(pixels, self.size[::-1], interpolation=cv2.INTER_AREA)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        frame = av.VideoFrame.from_ndarray(pixels, "rgba" if self.has_alpha else "rgb24")
        frame = frame.reformat(format=self.video.pix_fmt, dst_colorspace=_matrix(like))
        if self.has_alpha:
            _set_alpha(frame, pixels[..., 3])
        frame.pts, frame.time_base = like.pts, film.stream.time_base
        self.container.mux(self.video.encode(frame))
        self._flush_sound()

    def finish(self, *, complete: bool) -> Path:
        """Give the file its name and return it; that of a part says so."""
        self.container.mux(self.video.encode())
        for stream in self.audio.values():
            if stream.codec_context.is_encoder and stream.codec_context.is_open:
                self.container.mux(stream.encode(None))
        self.container.close()
        self.finished = True
        self._say_lost_languages()
        part = self.path.with_name(f"{self.path.stem}.incomplete{self.path.suffix}")
        self.temporary.replace(self.path if complete else part)
        if complete:
            part.unlink(missing_ok=True)  # of an earlier call
        return self.path if complete else part

    def _say_lost_languages(self) -> None:
        wanted = [one.metadata.get("language", "und") for one in self.audio.values()]
        if set(wanted) <= {"und"}:
            return
        with av.open(str(self.temporary)) as written:
            got = [one.language or "und" for one in written.streams.audio]
        lost = {one for one, there in zip(wanted, got, strict=False) if one != there}
        if lost:
            names = ", ".join(sorted(lost))
            log.warning("%s: cannot name the language of its sound: %s", self.path, names)

    def _begin(self, pixels: np.ndarray, like: Frame, film: Film) -> None:
        """Open the file, now that it is known whether its frames are transparent."""
        self.has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
        self.path = self._target(".mov" if self.has_alpha else ".mp4")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.temporary = self.path.with_name(f".{os.getpid()}.{self.path.name}")
        self.container = av.open(str(self.temporary), "w")
        self.video = self._add_video(pixels, like, film)
        for stream in film.sounds:
            self.audio[stream.index] = self._add_sound(stream, film.path)
        if film.chapters:
            self.container.set_chapters(film.chapters)

    def _add_video(self, pixels: np.ndarray, like: Frame, film: Film) -> Any:
        codec = "prores_ks" if self.has_alpha else next(c for c in _H264 if _encodes(c))
        video = self.container.add_stream(codec, rate=film.rate)
        self.size = (pixels.shape[0], pixels.shape[1])
        video.height, video.width = self.size
        odd = video.height % 2 or video.width % 2
        video.pix_fmt = "yuv444p" if odd else "yuv420p"
        if codec == "prores_ks":
            video.pix_fmt, video.options = "yuva444p10le", {"profile": "4444"}
        elif codec == "libx264":
            video.options = {"crf": "17", "preset": "medium"}
        context, source = video.codec_context, film.stream
        context.time_base = source.time_base
        if film.aspect is not None:
            context.sample_aspect_ratio = film.aspect
        context.colorspace = _matrix(like)
        context.color_primaries = source.codec_context.color_primaries
        context.color_trc = source.codec_context.color_trc
        _keep_tags(source, video)
        return video

    def _add_sound(self, stream: Any, path: Path) -> Any:
        """A stream for a sound, of the same loudspeakers where that can be."""
        if stream.codec_context.name in _COPIED_SOUND:
            added = self.container.add_stream_from_template(stream)
        else:
            layout = _LAYOUTS.get(stream.layout.nb_channels, "stereo")
            own = stream.layout.name
            layout = own if _takes(own) else layout
            if _LAYOUTS.get(stream.layout.nb_channels) is None and layout != own:
                log.warning("%s: sound of %s becomes stereo", path, own)
            rates = av.Codec("aac", "w").audio_rates or [stream.rate]
            rate = stream.rate if stream.rate in rates else min(48000, max(rates))
            added = self.container.add_stream("aac", rate=rate, layout=layout)
        _keep_tags(stream, added)
        return added

    def _flush_sound(self) -> None:
        for packet, frames in self.waiting:
            stream = self.audio[packet.stream.index]
            if packet.stream.codec_context.name not in _COPIED_SOUND:
                for frame in frames:
                    self.container.mux(stream.encode(frame))
            elif packet.dts is not None:  # None marks the end
                self.container.mux(_copy(packet, stream))
        self.waiting.clear()


def _copy(packet: Any, stream: Any) -> Any:
    """A packet for one of several output files; muxing marks it as that file's."""
    copy = av.Packet(bytes(packet))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
    return copy


def _keep_tags(source: Any, target: Any) -> None:
    """Hand on a stream's language and title, and whether it is the one that is played."""
    tags = {key: value for key, value in source.metadata.items() if key in _KEPT_TAGS}
    if target.container.format.name == "mov" and "language" in tags:
        tags["language"] = _MOV_LANGUAGES.get(tags["language"], tags["language"])
    target.metadata.update(tags)
    target.disposition = source.disposition


def _takes(layout: str) -> bool:
    """Whether AAC has a place for each of the loudspeakers."""
    try:
        context = av.CodecContext.create("aac", "w")
        context.sample_rate, context.layout, context.format = 48000, layout, "fltp"
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _set_alpha(frame: Any, alpha: np.ndarray) -> None:
    """Write 8-bit transparency into a 10-bit frame so that it reads back as the same 8 bits."""
    plane = frame.planes[3]
    rows = np.zeros((plane.height, plane.line_size // 2), "<u2")
    rows[:, : alpha.shape[1]] = np.where(alpha == 255, 1023, alpha.astype("<u2") * 4)
    plane.update(rows.tobytes())


def _matrix(frame: Frame) -> int:
    """The frame's YUV matrix; unmarked ones are read as BT.601 and must be written so."""
    return frame.colorspace if frame.colorspace in _MATRICES else _SMPTE170M


def _encodes(codec: str) -> bool:
    try:
        av.Codec(codec, "w")
    except ValueError:  # av's UnknownCodecError
        return False
    return True
