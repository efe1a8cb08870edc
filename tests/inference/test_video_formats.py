"""Videos in other formats than their own: transparency, sound, and times that are not even."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.errors import UserError
from tests.inference.test_video import FRAMES, made, predict, write_video
from tests.inference.tiny import red_on_blue

av = pytest.importorskip("av")

TIMES = [0, 7, 9, 40, 41, 100, 333, 334, 500, 1200]  # milliseconds at which frames begin
LAST = 77


def uneven(path: Path, codec: str = "libx264", base: Fraction = Fraction(1, 1000)) -> Path:
    """A video of a variable rate."""
    with av.open(str(path), "w") as film:
        video = film.add_stream(codec, rate=30, options={"bf": "0"} if codec == "libx264" else {})
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        video.codec_context.time_base = base
        for step, time in enumerate(TIMES):
            image = np.roll(red_on_blue(48, 64)[0], 3 * step, 1)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = round(Fraction(time, 1000) / base), base
            film.mux(video.encode(frame))
        for packet in video.encode():
            if packet.pts == round(Fraction(TIMES[-1], 1000) / base):
                packet.duration = round(Fraction(LAST, 1000) / base)
            film.mux(packet)
    return path


def times(path: Path) -> tuple[list[Fraction], Fraction]:
    """When frames begin, and for how long the last is shown, in seconds."""
    with av.open(str(path)) as movie:
        stream = movie.streams.video[0]
        packets = sorted((one.pts, one.duration) for one in movie.demux(stream) if one.size)
        base = stream.time_base
    return [pts * base for pts, _ in packets], packets[-1][1] * base


def layers(path: Path) -> list[np.ndarray]:
    """The frames of a WebM with their transparency, which FFmpeg's own decoder leaves out."""
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(str(path)) as movie:
        assert movie.streams.video[0].metadata["alpha_mode"] == "1"
        packets = [packet if packet.size else None for packet in movie.demux(video=0)]
        return [f.to_ndarray(format="rgba") for one in packets for f in decoder.decode(one)]


@pytest.mark.parametrize(("height", "width"), [(90, 120), (51, 75)])
def test_a_webm_holds_the_transparency_that_a_mov_holds(
    tmp_path: Path, height: int, width: int
) -> None:
    path = write_video(tmp_path / "a.mp4", size=(height, width))
    predict(path, tmp_path, "rgba", formats=["webm"])
    predict(path, tmp_path / "mov", "rgba")
    found = layers(tmp_path / "out/a.webm")
    with av.open(str(tmp_path / "mov/out/a.mov")) as movie:
        right = [frame.to_ndarray(format="rgba") for frame in movie.decode(video=0)]
    assert len(found) == len(right) == FRAMES
    alpha, known = found[5][..., 3].astype(int), right[5][..., 3].astype(int)
    assert alpha.shape == (height, width)
    assert np.abs(alpha - known).mean() < 2
    assert alpha[height // 3, width // 4] > 245
    assert alpha[-5, -5] < 5
    assert np.abs(found[5][height // 3, width // 4, :3].astype(int) - (230, 40, 20)).max() < 12


@pytest.mark.parametrize(("sound", "codec"), [("aac", "opus"), ("libopus", "opus")])
def test_a_webm_has_sound_that_it_can_hold(tmp_path: Path, sound: str, codec: str) -> None:
    suffix = ".mkv" if sound == "libopus" else ".mp4"
    rate = {"libopus": 48000}.get(sound, 44100)
    path = write_video(tmp_path / f"a{suffix}", None if sound == "libopus" else sound)
    if sound == "libopus":
        path = _with_opus(path, tmp_path / "b.mkv", rate)
    predict(path, tmp_path, "white", formats=["webm"])
    with av.open(str(tmp_path / "out" / f"{path.stem}.webm")) as movie:
        (audio,) = movie.streams.audio
        assert audio.codec_context.name == codec
        seconds = sum(frame.samples / frame.sample_rate for frame in movie.decode(audio))
    assert seconds == pytest.approx(0.5, abs=0.1)


def _with_opus(silent: Path, path: Path, rate: int) -> Path:
    with av.open(str(silent)) as movie, av.open(str(path), "w") as copy:
        video = copy.add_stream_from_template(movie.streams.video[0])
        audio = copy.add_stream("libopus", rate=rate, layout="mono")
        for packet in movie.demux(video=0):
            if packet.size:
                packet.stream = video
                copy.mux(packet)
        tone = (8000 * np.sin(np.arange(rate // 2) / 20)).astype(np.int16)[None]
        piece = av.AudioFrame.from_ndarray(tone, "s16", "mono")
        piece.sample_rate, piece.time_base, piece.pts = rate, Fraction(1, rate), 0
        copy.mux(audio.encode(piece))
        copy.mux(audio.encode())
    return path


@pytest.mark.parametrize(
    ("name", "codec", "base"),
    [
        ("a.mkv", "libx264", Fraction(1, 1000)),
        ("a.mp4", "libx264", Fraction(1, 90_000)),
        ("a.webm", "libvpx-vp9", Fraction(1, 1000)),
    ],
)
def test_uneven_times_are_kept_to_the_last_frame(
    tmp_path: Path, name: str, codec: str, base: Fraction
) -> None:
    path = uneven(tmp_path / name, codec, base)
    begin, last = times(path)
    assert (begin, last) == ([Fraction(time, 1000) for time in TIMES], Fraction(LAST, 1000))
    assert made(path, tmp_path, "rgba", "white") == len(TIMES)
    assert made(path, tmp_path / "webm", "rgba", formats=["webm"]) == len(TIMES)
    for result in ("out/rgba/a.mov", "out/white/a.mp4", "webm/out/a.webm"):
        assert times(tmp_path / result) == (begin, last), result


def test_a_video_becomes_an_animation_with_its_times(tmp_path: Path) -> None:
    path = uneven(tmp_path / "a.mkv")
    assert made(path, tmp_path, "rgba", formats=["webp"]) == len(TIMES)
    with Image.open(tmp_path / "out/a.webp") as image:
        found = []
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            image.load()
            found.append(image.info["duration"])
    assert found == [*np.diff(TIMES), LAST]


def test_sound_that_an_animation_cannot_hold_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    predict(write_video(tmp_path / "a.mp4", "aac"), tmp_path, "white", formats=["gif"])
    assert caplog.text.count("holds no sound, which is left out") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"formats": ["jpg"]}, r"a\.mp4: holds many frames, and format=jpg one; add one of webm"),
        ({"crop": "face"}, r"a\.mp4: crop=face is for photos, and this holds frames"),
    ],
)
def test_what_a_video_cannot_become_is_one_line(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        made(write_video(tmp_path / "a.mp4"), tmp_path, "mask", **options)
    assert not list(tmp_path.rglob("out/*.*"))


def test_the_background_of_a_video_is_cut_out_at_a_level(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    predict(path, tmp_path, "rgba", invert=True, threshold=0.5)
    with av.open(str(tmp_path / "out/a.mov")) as movie:
        frame = next(movie.decode(video=0)).to_ndarray(format="rgba")
    assert set(np.unique(frame[..., 3])) <= {0, 255}
    assert frame[30, 30, 3] == 0
    assert frame[80, 110, 3] == 255
