"""Videos: size, number of frames, time stamps and sound are kept."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.prediction.jobs import find_sources
from src.prediction.outputs import parse_outputs
from src.prediction.plan import Plan
from tests.prediction.tiny import finder, red_on_blue

av = pytest.importorskip("av")

FRAMES = 12


def write_video(path: Path, sound: str | None, size: tuple[int, int] = (90, 120)) -> Path:
    """Red on blue for half a second, with a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24)
        video.height, video.width = size
        video.pix_fmt = "yuv420p" if size[0] % 2 == 0 and size[1] % 2 == 0 else "yuv444p"
        audio = container.add_stream(sound, rate=44100, layout="mono") if sound else None
        for _ in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(red_on_blue(*size)[0], "rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            tone = (8000 * np.sin(np.arange(22050) / 20)).astype(np.int16)[None]
            piece = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            piece.sample_rate, piece.time_base, piece.pts = 44100, Fraction(1, 44100), 0
            container.mux(audio.encode(piece))
            container.mux(audio.encode())
    return path


def predict(path: Path, tmp_path: Path, *words: str, smoothing: float = 0.0) -> None:
    from src.prediction.video import predict_video

    plan = Plan(parse_outputs(list(words)), tmp_path / "out", smoothing=smoothing)
    seen: list[int] = []
    predict_video(finder(), find_sources(path)[0], plan, lambda done, total: seen.append(done))
    assert seen[-1] == FRAMES


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
