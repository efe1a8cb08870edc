"""Videos that results are written to, with the times, sound and chapters of what they are made of.

Needs PyAV.
"""

import logging
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from src.inference.formats import copied_sound
from src.inference.frames import Frame, FrameReader
from src.inference.video_reader import Film, Sound, av

log = logging.getLogger(__name__)
_PRORES = "yuva444p10le"
# Quality 18 of 63 at a speed that is bearable. Frames that are only referred to have no alpha.
_VP9_OPTIONS = {
    "crf": "18", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "auto-alt-ref": "0",
}  # fmt: skip
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


class VideoWriter:
    """A video that is being written; it gets its name when it is complete.

    Args:
        path: Its suffix says what it is: `.mp4` and `.mov` H.264, with transparency `.mov` ProRes
            4444; `.webm` VP9, which may be transparent.
        pixels: The first image, which is not written yet.
        like: The frame it was made of.
        reader: What is read. Sound, chapters and the like are a `Film`'s.
    """

    def __init__(self, path: Path, pixels: np.ndarray, like: Frame, reader: FrameReader) -> None:
        self.path, self._reader = path, reader
        self._film = reader if isinstance(reader, Film) else None
        self._copied = copied_sound(path.suffix)
        self._audio: dict[int, Any] = {}
        self._durations: dict[int, int] = {}
        self._finished = False
        self._has_alpha = pixels.ndim == 3 and pixels.shape[2] == 4
        self._temporary = path.with_name(f".{os.getpid()}.{path.name}")
        self._container: Any = av.open(str(self._temporary), "w")
        self._size = (pixels.shape[0], pixels.shape[1])
        self._video = self._add_video(like)
        if self._film is not None:
            for stream in self._film.sounds:
                self._audio[stream.index] = self._add_sound(stream, self._film.path)
            if self._film.chapters:
                self._container.set_chapters(self._film.chapters)

    def sound(self, packets: list[Sound]) -> None:
        """Write packets of sound, as they are or encoded anew."""
        for packet, frames in packets:
            stream = self._audio[packet.stream.index]
            if packet.stream.codec_context.name not in self._copied:
                for frame in frames:
                    self._container.mux(stream.encode(frame))
            elif packet.dts is not None:  # None marks the end
                self._container.mux(_copy(packet, stream))

    def image(self, pixels: np.ndarray, like: Frame) -> None:
        """Encode pixels at the time of the frame `like`; see `FrameWriter`."""
        if pixels.shape[:2] != self._size:  # some recordings change size; players scale them too
            pixels = cv2.resize(pixels, self._size[::-1], interpolation=cv2.INTER_AREA)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        frame = av.VideoFrame.from_ndarray(pixels, "rgba" if self._has_alpha else "rgb24")
        frame = frame.reformat(format=self._video.pix_fmt, dst_colorspace=_matrix(like))
        if frame.format.name == _PRORES:
            _set_alpha(frame, pixels[..., 3])
        frame.pts, frame.time_base = like.pts, self._reader.time_base
        self._durations[like.pts] = like.duration
        self._mux(self._video.encode(frame))

    def finish(self, *, complete: bool) -> Path:
        """Give the file its name and return it; that of a part says so."""
        self._mux(self._video.encode())
        for stream in self._audio.values():
            if stream.codec_context.is_encoder and stream.codec_context.is_open:
                self._container.mux(stream.encode(None))
        self._container.close()
        self._finished = True
        self._say_lost_languages()
        part = self.path.with_name(f"{self.path.stem}.incomplete{self.path.suffix}")
        self._temporary.replace(self.path if complete else part)
        if complete:
            part.unlink(missing_ok=True)  # of an earlier call
        return self.path if complete else part

    def close(self) -> None:
        """Remove what was not finished."""
        try:
            if not self._finished:
                self._container.close()
        except (av.FFmpegError, OSError) as error:  # on a full disk, which was said already
            log.debug("%s", self._temporary, exc_info=error)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _mux(self, packets: list[Any]) -> None:
        """Write packets; encoders pass on when a frame is shown, but not for how long."""
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0) or packet.duration
            self._container.mux(packet)

    def _say_lost_languages(self) -> None:
        wanted = [one.metadata.get("language", "und") for one in self._audio.values()]
        if set(wanted) <= {"und"}:
            return
        with av.open(str(self._temporary)) as written:
            got = [one.language or "und" for one in written.streams.audio]
        lost = {one for one, there in zip(wanted, got, strict=False) if one != there}
        if lost:
            names = ", ".join(sorted(lost))
            log.warning("%s: cannot name the language of its sound: %s", self.path, names)

    def _add_video(self, like: Frame) -> Any:
        codec, pixel_format, options = self._encoder()
        video = self._container.add_stream(codec, rate=self._reader.rate)
        video.height, video.width = self._size
        video.pix_fmt, video.options = pixel_format, options
        context = video.codec_context
        context.time_base = self._reader.time_base
        context.colorspace = _matrix(like)
        if self._film is not None:
            if self._film.aspect is not None:
                context.sample_aspect_ratio = self._film.aspect
            source = self._film.stream
            context.color_primaries = source.codec_context.color_primaries
            context.color_trc = source.codec_context.color_trc
            _keep_tags(source, video)
        return video

    def _encoder(self) -> tuple[str, str, dict[str, str]]:
        """Codec, pixel format and options."""
        if self.path.suffix == ".webm":
            return "libvpx-vp9", "yuva420p" if self._has_alpha else "yuv420p", _VP9_OPTIONS
        if self._has_alpha:
            return "prores_ks", _PRORES, {"profile": "4444"}
        codec = next(c for c in _H264 if _encodes(c))
        # Without frames that are decoded in another order than shown: else how long each of a
        # variable rate is shown would be guessed.
        options = {"bf": "0"}
        if codec == "libx264":
            options |= {"crf": "17", "preset": "medium"}
        odd = self._size[0] % 2 or self._size[1] % 2
        return codec, "yuv444p" if odd else "yuv420p", options

    def _add_sound(self, stream: Any, path: Path) -> Any:
        """A stream for a sound, of the same loudspeakers where that can be."""
        if stream.codec_context.name in self._copied:
            added = self._container.add_stream_from_template(stream)
        else:
            codec = "libopus" if self.path.suffix == ".webm" else "aac"
            layout = _LAYOUTS.get(stream.layout.nb_channels, "stereo")
            own = stream.layout.name
            layout = own if _takes(codec, own) else layout
            if _LAYOUTS.get(stream.layout.nb_channels) is None and layout != own:
                log.warning("%s: sound of %s becomes stereo", path, own)
            rates = av.Codec(codec, "w").audio_rates or [stream.rate]
            rate = stream.rate if stream.rate in rates else min(48000, max(rates))
            added = self._container.add_stream(codec, rate=rate, layout=layout)
        _keep_tags(stream, added)
        return added


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


def _takes(codec: str, layout: str) -> bool:
    """Whether a codec of sound has a place for each of the loudspeakers."""
    try:
        context: Any = av.CodecContext.create(codec, "w")
        context.sample_rate, context.layout = 48000, layout
        context.format = "fltp" if codec == "aac" else "flt"
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
