"""Animated images: every frame has its mask and keeps its time, broken ones are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.inference import animation
from src.inference.animation_integrity import frames_of, is_animation
from src.inference.outputs import parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.sources import find_sources
from tests.inference.tiny import finder

TIMES = [40, 100, 250, 70, 1000]  # milliseconds
STEP = 5
_OPTIONS: dict[str, dict[str, Any]] = {
    ".webp": {"lossless": True}, ".avif": {"quality": 95}, ".gif": {"disposal": 2},
}  # fmt: skip


def truth(number: int, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[15:40, 5 + STEP * number : 25 + STEP * number] = True
    return mask


def animated(path: Path, *, alpha: bool = False, **options: Any) -> Path:
    """A red square that moves over blue; with alpha the lower rows are transparent."""
    frames = []
    for number in range(len(TIMES)):
        pixels = np.where(truth(number)[..., None], (230, 40, 20), (20, 60, 220)).astype(np.uint8)
        if alpha:
            opacity = np.full(pixels.shape[:2], 255, np.uint8)
            opacity[50:] = opacity[:, : 2 * number] = 0
            pixels = np.dstack([pixels, opacity])
        frames.append(Image.fromarray(pixels))
    given = {"duration": TIMES} | _OPTIONS.get(path.suffix, {}) | options
    path.parent.mkdir(exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], **given)
    return path


def run(path: Path, out: Path, *types: str, **options: Any) -> Summary:
    plan = PredictConfig(parse_outputs(list(types)), out, **options)
    return predict_files(finder(batch_size=3), find_sources(path), plan, finished=lambda: None)


def read(path: Path, mode: str) -> tuple[list[np.ndarray], list[float], int | None]:
    """Frames, their milliseconds, and what the file says of repeating them."""
    frames, times = [], []
    with Image.open(path) as image:
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            frames.append(np.asarray(image.convert(mode)))
            times.append(image.info["duration"])
        return frames, times, image.info.get("loop")


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_every_frame_has_its_mask_for_its_time(tmp_path: Path, suffix: str) -> None:
    path = animated(tmp_path / f"in/a{suffix}", loop=0)
    assert is_animation(path)
    summary = run(path, tmp_path / "out", "mask", "white")
    assert summary.done == 1, str(summary)
    masks, times, _ = read(tmp_path / "out/mask/a.png", "L")
    assert times == TIMES
    for number, mask in enumerate(masks):
        assert ((mask > 127) == truth(number)).mean() > 0.995, number
    shown, times, _ = read(tmp_path / f"out/white/a{suffix}", "RGB")
    assert times == TIMES
    assert np.abs(shown[3][10, 10].astype(int) - 255).max() < 6
    assert np.abs(shown[3][25, 30].astype(int) - (230, 40, 20)).max() < 25


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("word", ["gif", "png", "webp"])
def test_times_repeats_and_transparency_pass_from_each_kind_to_each(
    tmp_path: Path, suffix: str, word: str
) -> None:
    """A GIF says how often it is repeated, the others how often it is shown."""
    path = animated(tmp_path / f"in/a{suffix}", alpha=True, loop=2 if suffix == ".gif" else 3)
    summary = run(path, tmp_path / "out", "rgba", formats=[word])
    assert summary.done == 1, str(summary)
    frames, times, loop = read(tmp_path / f"out/a.{word}", "RGBA")
    assert times == TIMES
    assert loop == (2 if word == "gif" else 3)
    for number, frame in enumerate(frames):
        right = truth(number)
        right[:, : 2 * number] = False
        assert np.array_equal(frame[..., 3] > 127, right), number


def test_a_gif_that_is_shown_once_stays_so(tmp_path: Path) -> None:
    path = animated(tmp_path / "in/a.gif")
    run(path, tmp_path / "out", "overlay", "mask")
    assert read(tmp_path / "out/overlay/a.gif", "RGB")[2] is None
    assert read(tmp_path / "out/mask/a.png", "L")[2] == 1


def test_a_cutout_of_a_gif_is_a_png_which_holds_soft_edges(tmp_path: Path) -> None:
    run(animated(tmp_path / "in/a.gif"), tmp_path / "out", "rgba")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.png"]
    assert run(tmp_path / "in/a.gif", tmp_path / "out", "rgba", skip_existing=True).skipped == 1


def test_frames_are_turned_as_their_file_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    run(animated(tmp_path / "in/a.webp", exif=exif), tmp_path / "out", "mask")
    masks, _, _ = read(tmp_path / "out/a.png", "L")
    assert np.array_equal(masks[1] > 127, np.rot90(truth(1), -1))


def test_an_image_for_those_who_show_no_animations_is_no_frame(tmp_path: Path) -> None:
    first = Image.fromarray(np.zeros((64, 64, 3), np.uint8))
    with Image.open(animated(tmp_path / "b.png")) as source:
        others = []
        for number in range(len(TIMES)):
            source.seek(number)
            others.append(source.convert("RGB"))
    (tmp_path / "in").mkdir()
    first.save(
        tmp_path / "in/a.png", save_all=True, append_images=others, default_image=True,
        duration=TIMES,
    )  # fmt: skip
    run(tmp_path / "in/a.png", tmp_path / "out", "mask")
    masks, times, _ = read(tmp_path / "out/a.png", "L")
    assert times == TIMES
    assert np.array_equal(masks[0] > 127, truth(0))


def test_times_that_a_gif_cannot_hold_do_not_add_up_to_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = animated(tmp_path / "in/a.webp", duration=[33, 33, 33, 15, 33])
    run(path, tmp_path / "out", "white", formats=["gif"])
    assert read(tmp_path / "out/a.gif", "RGB")[1] == [30, 40, 30, 10, 40]
    assert "players show frames shorter than 20 ms" in caplog.text


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("share", [0.45, 0.7, 0.97])
def test_an_animation_that_breaks_off_is_one_line_that_names_the_frame(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = animated(tmp_path / f"in/a{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    structure = frames_of(path.read_bytes())
    assert structure is not None
    assert structure.whole < len(TIMES)
    summary = run(path, tmp_path / "out", "mask", "white")
    (failure,) = summary.failures
    assert f"{path}: a damaged animation: it breaks off in frame {structure.whole + 1}" in (
        failure.reason
    )
    assert "\n" not in failure.reason
    assert not list((tmp_path / "out").rglob("*.*"))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_a_broken_frame_is_named(tmp_path: Path, suffix: str) -> None:
    path = animated(tmp_path / f"in/a{suffix}")
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    mark = b"fdAT" if suffix == ".png" else b"ANMF"
    number = data[:at].count(mark) + (suffix == ".png")
    data[at : at + 12] = bytes(one ^ 0x5A for one in data[at : at + 12])
    path.write_bytes(data)
    summary = run(path, tmp_path / "out", "mask")
    (failure,) = summary.failures
    assert f"frame {number}" in failure.reason
    assert "\n" not in failure.reason
    assert not list((tmp_path / "out").rglob("*.*"))


def test_a_gif_cut_between_two_frames_is_not_taken_for_a_shorter_one(tmp_path: Path) -> None:
    path = animated(tmp_path / "in/a.gif")
    data = path.read_bytes()
    third = [at for at in range(len(data)) if data.startswith(b"\x21\xf9\x04", at)][2]
    path.write_bytes(data[: third + 4])
    summary = run(path, tmp_path / "out", "mask")
    assert "it breaks off in frame 3" in summary.failures[0].reason


def test_more_frames_than_fit_into_memory_are_a_line_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animation, "_HELD", 1.5)
    path = animated(tmp_path / "in/a.gif")
    monkeypatch.setenv("FINECUT_MAX_MEGAPIXELS", "0.009")
    summary = run(path, tmp_path / "out", "mask")
    assert "more than 3 frames of 64×64 do not fit into memory; format=webm" in str(summary)


def test_what_is_no_animation(tmp_path: Path) -> None:
    still = Image.fromarray(np.zeros((6, 9, 3), np.uint8))
    for name in ("a.gif", "a.png", "a.webp", "a.avif", "a.jpg"):
        still.save(tmp_path / name)
        assert not is_animation(tmp_path / name), name
    for content in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X"):
        (tmp_path / "b").write_bytes(content)
        assert not is_animation(tmp_path / "b"), content


def test_a_face_is_not_looked_for_in_frames(tmp_path: Path) -> None:
    summary = run(animated(tmp_path / "in/a.gif"), tmp_path / "out", "mask", crop="face")
    assert "crop=face is for photos, and this holds frames" in str(summary)


@pytest.mark.parametrize(("word", "pixel_format"), [("webm", "yuva420p"), ("mov", "yuva444p12le")])
def test_an_animation_becomes_a_transparent_video(
    tmp_path: Path, word: str, pixel_format: str
) -> None:
    av = pytest.importorskip("av")
    path = animated(tmp_path / "in/a.gif")
    assert run(path, tmp_path / "out", "rgba", formats=[word]).done == 1
    decoder = av.CodecContext.create("libvpx-vp9", "r") if word == "webm" else None
    frames, times = [], []
    with av.open(str(tmp_path / f"out/a.{word}")) as movie:
        stream = movie.streams.video[0]
        for packet in movie.demux(stream):
            given = packet if packet.size else None
            for frame in decoder.decode(given) if decoder else packet.decode():
                frames.append(frame.to_ndarray(format="rgba"))
                times.append(round(1000 * frame.pts * stream.time_base))
                assert frame.format.name == pixel_format
    assert times == [sum(TIMES[:number]) for number in range(len(TIMES))]
    for number, frame in enumerate(frames):
        assert ((frame[..., 3] > 127) == truth(number)).mean() > 0.99, number
