"""Videos: geometry, number of frames, time stamps, sound and transparency are kept."""

import logging
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.errors import UserError
from src.inference.outputs import parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.sources import find_sources
from tests.inference.tiny import finder, red_on_blue

av = pytest.importorskip("av")

FRAMES = 12


def write_video(
    path: Path,
    sound: str | None = None,
    size: tuple[int, int] = (90, 120),
    *,
    codec: str = "libx264",
    pixel_format: str | None = None,
    image: np.ndarray | None = None,
    aspect: Fraction | None = None,
    layout: str = "mono",
    first: int = 0,
    noise: bool = False,
    container: dict[str, str] | None = None,
) -> Path:
    """Red on blue for half a second, with a tone.

    Args:
        image: uint8 `(H, W, 3)` or `(H, W, 4)` in place of red on blue.
        noise: Add much of it, other in each frame.
        first: Frames that would fit in before the first one.
        container: FFmpeg's options of the container.
    """
    if image is None:
        image = red_on_blue(*size)[0]
    with av.open(str(path), "w", options=container or {}) as film:
        video = film.add_stream(codec, rate=24)
        video.height, video.width = image.shape[:2]
        even = image.shape[0] % 2 == 0 and image.shape[1] % 2 == 0
        video.pix_fmt = pixel_format or ("yuv420p" if even else "yuv444p")
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        audio = film.add_stream(sound, rate=44100, layout=layout) if sound else None
        if audio is not None:
            audio.metadata["language"] = "deu"
        rng = np.random.default_rng(0)
        for number in range(FRAMES):
            if noise:
                image = rng.integers(0, 255, image.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24" if image.shape[2] == 3 else "rgba")
            frame.pts, frame.time_base = first + number, Fraction(1, 24)
            film.mux(video.encode(frame))
        film.mux(video.encode())
        if audio is not None:
            channels = audio.codec_context.layout.nb_channels
            tone = (8000 * np.sin(np.arange(22050) / 20)).astype(np.int16)
            tone = np.repeat(tone, channels)[None]
            piece = av.AudioFrame.from_ndarray(tone, "s16", layout)
            piece.sample_rate, piece.time_base, piece.pts = 44100, Fraction(1, 44100), 0
            film.mux(audio.encode(piece))
            film.mux(audio.encode())
    return path


def predict(path: Path, tmp_path: Path, *words: str, **options: Any) -> None:
    assert made(path, tmp_path, *words, **options) == FRAMES


def made(path: Path, tmp_path: Path, *words: str, **options: Any) -> int:
    """Make outputs of a video below `tmp_path/out`; returns how many frames were reported."""
    from src.inference.frames import predict_frames

    plan = PredictConfig(parse_outputs(list(words)), tmp_path / "out", **options)
    seen: list[int] = [0]
    predict_frames(finder(), find_sources(path)[0], plan, lambda done, total: seen.append(done))
    return seen[-1]


def frames(path: Path, kind: str = "rgb24") -> list[np.ndarray]:
    with av.open(str(path)) as movie:
        return [frame.to_ndarray(format=kind) for frame in movie.decode(video=0)]


def aspect(path: Path) -> Fraction | None:
    with av.open(str(path)) as movie:
        return movie.streams.video[0].sample_aspect_ratio


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a display matrix into the first track of an .mp4."""
    a, b, c, d = (one * 65536 for one in matrix)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".mkv", "pcm_s16le"), (".mp4", None)]
)
def test_frames_time_and_sound(tmp_path: Path, suffix: str, codec: str | None) -> None:
    path = write_video(tmp_path / f"a{suffix}", codec)
    predict(path, tmp_path, "white", "rgba", smoothing=0.5)
    for name in ("white/a.mp4", "rgba/a.mov"):
        with av.open(str(tmp_path / "out" / name)) as movie, av.open(str(path)) as original:
            assert len(movie.streams.audio) == (0 if codec is None else 1)
            if codec is not None:
                sound = movie.streams.audio[0]
                assert float(sound.duration * sound.time_base) == pytest.approx(0.5, abs=0.06)
            times = [f.time for f in movie.decode(video=0)]
            assert times == pytest.approx([f.time for f in original.decode(video=0)], abs=1e-3)
    assert not list((tmp_path / "out").rglob(".*"))


def test_colours_survive(tmp_path: Path) -> None:
    predict(write_video(tmp_path / "a.mp4", None), tmp_path, "white")
    with av.open(str(tmp_path / "out/a.mp4")) as movie:
        pixels = [f.to_ndarray(format="rgb24") for f in movie.decode(video=0)][5].astype(int)
    assert np.abs(pixels[30, 30] - (230, 40, 20)).max() < 10
    assert np.abs(pixels[80, 110] - 255).max() < 6


def test_odd_sides_and_masks(tmp_path: Path) -> None:
    predict(write_video(tmp_path / "a.mp4", None, (91, 121)), tmp_path, "mask")
    with av.open(str(tmp_path / "out/a.mp4")) as movie:
        mask = next(f.to_ndarray(format="gray") for f in movie.decode(video=0))
    assert np.abs(mask.astype(int) - red_on_blue(91, 121)[1]).mean() < 15


def test_a_damaged_video_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film at all")
    with pytest.raises(UserError, match=r"a\.mp4"):
        predict(tmp_path / "a.mp4", tmp_path, "mask")
    assert not list((tmp_path / "out").rglob("*.*"))


@pytest.mark.parametrize("turn", [(1, 0, 0, 1), (0, 1, -1, 0)])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, turn: tuple[int, ...]) -> None:
    path = turned(write_video(tmp_path / "a.mp4", aspect=Fraction(4, 3)), turn)  # type: ignore[arg-type]
    predict(path, tmp_path, "mask", "rgba")
    expected = Fraction(4, 3) if turn[0] else Fraction(3, 4)  # upright, they lie on their side
    assert aspect(tmp_path / "out/mask/a.mp4") == aspect(tmp_path / "out/rgba/a.mov") == expected


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((0, 1, -1, 0), lambda pixels: np.rot90(pixels, -1)),  # a phone held upright
        ((-1, 0, 0, -1), lambda pixels: np.rot90(pixels, 2)),
        ((0, -1, 1, 0), lambda pixels: np.rot90(pixels, 1)),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda pixels: pixels.transpose(1, 0, 2)),
        ((0, -1, -1, 0), lambda pixels: np.rot90(pixels.transpose(1, 0, 2), 2)),
    ],
)
def test_frames_are_turned_and_mirrored_as_a_player_shows_them(
    tmp_path: Path, matrix: tuple[int, int, int, int], shown: Any
) -> None:
    image = red_on_blue(90, 120)[0]
    predict(turned(write_video(tmp_path / "a.mp4", "aac"), matrix), tmp_path, "overlay")
    found, right = frames(tmp_path / "out/a.mp4")[5], shown(image)
    assert found.shape == right.shape
    blue = np.abs(found.astype(int) - right).max(axis=2) < 16
    assert blue[right[..., 2] > 200].mean() > 0.95  # the background; what is red has a tint
    assert not blue[right[..., 2] < 100].any()
    with av.open(str(tmp_path / "out/a.mp4")) as movie:
        assert next(movie.decode(video=0)).rotation == 0
        assert len(movie.streams.audio) == 1


def test_the_tag_of_older_tools_turns_too(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv")
    with av.open(str(path)) as movie, av.open(str(tmp_path / "b.mkv"), "w") as copy:
        stream = copy.add_stream_from_template(movie.streams.video[0])
        stream.metadata["rotate"] = "90"
        for packet in movie.demux(video=0):
            if packet.dts is not None or packet.size:
                packet.stream = stream
                copy.mux(packet)
    predict(tmp_path / "b.mkv", tmp_path, "mask")
    assert frames(tmp_path / "out/b.mp4")[0].shape == (120, 90, 3)


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.mov", "png", "rgba"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
    ],
)
def test_a_result_is_nowhere_more_opaque_than_its_video(
    tmp_path: Path, name: str, codec: str, kind: str
) -> None:
    pixels, mask = red_on_blue(90, 120)
    alpha = np.full((90, 120), 255, np.uint8)
    alpha[26:34] = 0
    alpha[36:42] = 128
    path = write_video(
        tmp_path / name, codec=codec, pixel_format=kind, image=np.dstack([pixels, alpha])
    )
    if codec == "libvpx-vp9":  # FFmpeg's own decoder, which is the usual one, knows no alpha
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        with av.open(str(path)) as movie:
            packets = [packet for packet in movie.demux(video=0) if packet.size]
            given = [f.to_ndarray(format="rgba") for p in packets for f in decoder.decode(p)]
    else:
        given = frames(path, "rgba")
    predict(path, tmp_path, "rgba")
    found = frames(tmp_path / "out/a.mov", "rgba")
    assert len(found) == len(given) == FRAMES
    assert (found[3][..., 3] <= given[3][..., 3]).all()
    shown = (mask > 0) & (alpha == 255)
    assert np.median(found[3][..., 3][shown]) > 200
    assert found[3][..., 3][28, 30] == 0


def test_all_values_of_transparency_come_back(tmp_path: Path) -> None:
    ramp = np.zeros((32, 256, 4), np.uint8)
    ramp[..., 0], ramp[..., 3] = 255, np.arange(256)
    path = write_video(tmp_path / "a.mov", codec="png", pixel_format="rgba", image=ramp)
    predict(path, tmp_path, "rgba")
    found = frames(tmp_path / "out/a.mov", "rgba")[0][16, :, 3].astype(int)
    assert (found <= np.arange(256)).all()
    assert found[255] > 250
    assert np.array_equal(found[:250], np.arange(250))


def test_what_shows_a_transparent_video_is_transparent_too(tmp_path: Path) -> None:
    half = np.dstack([red_on_blue(36, 48)[0], np.full((36, 48), 128, np.uint8)])
    path = write_video(tmp_path / "a.mov", codec="png", pixel_format="rgba", image=half)
    predict(path, tmp_path, "overlay", "white")
    assert np.unique(frames(tmp_path / "out/overlay/a.mov", "rgba")[0][..., 3]).tolist() == [128]
    assert (tmp_path / "out/white/a.mp4").is_file()


def test_white_goods_on_nothing_are_not_judged_on_white() -> None:
    from src.inference.frames import Frame, Judged

    alpha = np.zeros((8, 8), np.uint8)
    alpha[2:4, 2:4] = 255
    for goods, backdrop in ((250, 0), (10, 255)):  # and not on what suits the next frame
        frame = Frame(np.full((8, 8, 3), goods, np.uint8), alpha, 0, 6)
        seen = Judged()(frame)
        assert (seen[2, 2], seen[0, 0]) == (pytest.approx(goods), pytest.approx(backdrop))


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_loudspeakers_and_languages_stay(tmp_path: Path, layout: str) -> None:
    path = write_video(tmp_path / "a.mkv", "pcm_s16le", layout=layout)
    predict(path, tmp_path, "mask", "rgba")
    for name, language in (("mask/a.mp4", "deu"), ("rgba/a.mov", "ger")):
        with av.open(str(tmp_path / "out" / name)) as movie:
            (sound,) = movie.streams.audio
            assert (sound.codec_context.layout.name, sound.language) == (layout, language)


def test_what_is_not_carried_over_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, texts = write_video(tmp_path / "a.mkv"), tmp_path / "a.srt"
    texts.write_text("1\n00:00:00,000 --> 00:00:00,400\nHello\n\n")
    with (
        av.open(str(path)) as movie,
        av.open(str(texts)) as subtitles,
        av.open(str(tmp_path / "b.mkv"), "w") as copy,
    ):
        ways = [(one, copy.add_stream_from_template(one.streams[0])) for one in (movie, subtitles)]
        for one, stream in ways:
            for packet in one.demux():
                if packet.size:
                    packet.stream = stream
                    copy.mux(packet)
    with caplog.at_level(logging.WARNING, "src.inference"):
        predict(tmp_path / "b.mkv", tmp_path, "mask")
    assert "b.mkv: not carried over: subtitles" in caplog.text


@pytest.mark.parametrize(
    ("name", "codec", "kind", "container"),
    [
        ("a.avi", "mjpeg", "yuvj420p", None),
        ("a.mkv", "libx264", "yuv420p", None),
        ("a.mp4", "libx264", "yuv420p", {"movflags": "faststart"}),
    ],
)
def test_a_video_that_breaks_off_is_named_with_both_counts(
    tmp_path: Path, name: str, codec: str, kind: str, container: dict[str, str] | None
) -> None:
    path = write_video(
        tmp_path / name, codec=codec, pixel_format=kind, container=container, noise=True
    )
    predict(path, tmp_path, "mask")
    data = path.read_bytes()
    (tmp_path / "cut").mkdir()
    cut = tmp_path / "cut" / name
    cut.write_bytes(data[: int(len(data) * 0.7)])
    with pytest.raises(UserError, match=r"incomplete, \d+ of 12 announced frames") as caught:
        made(cut, tmp_path / "cut", "mask")
    part = tmp_path / "cut/out/a.incomplete.mp4"
    assert str(part) in str(caught.value)
    assert f"{len(frames(part))} of 12" in str(caught.value)
    assert [file.name for file in (tmp_path / "cut/out").iterdir()] == [part.name]
    path.replace(cut)  # the whole file, and the part goes
    predict(cut, tmp_path / "cut", "mask")
    assert [file.name for file in (tmp_path / "cut/out").iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "first", "sound"),
    [("a.mkv", 0, "pcm_s16le"), ("b.mkv", 48, None), ("c.mp4", 48, "aac"), ("d.webm", 0, None)],
)
def test_a_whole_video_is_not_called_incomplete(
    tmp_path: Path, name: str, first: int, sound: str | None
) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    path = write_video(tmp_path / name, sound, (36, 48), codec=codec, first=first)
    predict(path, tmp_path, "mask")
    with av.open(str(tmp_path / "out" / f"{name[0]}.mp4")) as movie:
        assert next(movie.decode(video=0)).time == pytest.approx(first / 24, abs=1e-3)


def test_a_video_without_a_frame_leaves_nothing_behind(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mkv", noise=True).read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 40])
    with pytest.raises(UserError, match=r"a\.mkv: 0 of 12 announced frames"):
        made(tmp_path / "a.mkv", tmp_path, "mask")
    assert not list((tmp_path / "out").rglob("*.*"))
