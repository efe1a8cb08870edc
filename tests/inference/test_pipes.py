"""`curl … | finecut predict - > out.png`: bytes in, bytes out, and words to the standard error."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from src.cli import _with_bare_paths
from src.datamodules.file_kinds import video_suffix
from src.errors import CommandError, UserError
from src.inference.cli import main
from src.inference.pipes import reserved_stdout, send
from src.weights.loading import create, to_official
from tests.inference.tiny import red_on_blue, save_picture
from tests.running import ROOT, without_training

Predict = Callable[..., tuple[bytes, str]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DictConfig:
    weights = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(to_official(create("u2netp")), weights)
    words = ["model=u2netp", "size=32", f"weights={weights}", "device=cpu", "type=rgba"]
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return without_training(compose("predict", words))


@pytest.fixture
def predict(
    config: DictConfig,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Predict:
    """Sends bytes to the command; returns what it sends on, and what it says."""

    def call(sent: bytes, **settings: object) -> tuple[bytes, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent)))
        cfg = config.copy()
        cfg.update({"input": "-", "output": "-"} | settings)
        capfdbinary.readouterr()
        assert main(cfg) == 0
        print("words of a library that writes where it likes")
        out, error = capfdbinary.readouterr()
        return out.removesuffix(b"words of a library that writes where it likes\n"), error.decode()

    return call


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_bytes_in_and_a_png_out(predict: Predict, tmp_path: Path) -> None:
    sent = save_picture(tmp_path / "a.webp", 60, 80).read_bytes()
    out, _ = predict(sent)
    image = opened(out)
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (80, 60))


@pytest.mark.parametrize(("word", "format"), [("webp", "WEBP"), ("avif", "AVIF")])
def test_the_format_decides_what_is_sent(
    predict: Predict, tmp_path: Path, word: str, format: str
) -> None:
    out, _ = predict(save_picture(tmp_path / "a.jpg").read_bytes(), format=word)
    assert opened(out).format == format


def test_a_file_can_be_sent_and_what_is_piped_can_be_kept(predict: Predict, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.jpg")
    out, _ = predict(b"", input=str(path), type="mask")
    assert opened(out).mode == "L"
    out, _ = predict(path.read_bytes(), output=str(tmp_path / "out"))
    assert out == b""
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["stdin.png"]


def test_a_pipe_that_ends_early_sends_nothing_on(
    predict: Predict, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    sent = save_picture(tmp_path / "a.jpg").read_bytes()
    for cut, said in (
        (sent[: len(sent) // 2], "damaged .*[Tt]runcated"),
        (b"", r"empty file \(0 bytes\)"),
    ):
        with pytest.raises(UserError, match=f"^standard input: .*{said}"):
            predict(cut)
        assert capfdbinary.readouterr().out == b""
    with pytest.raises(UserError, match=r"^standard input: not an image, or damaged$"):
        predict(b"<html>404 not found</html>")


def test_an_animation_passes_through(predict: Predict, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(red_on_blue()[0], 9 * step, 1)) for step in range(3)]
    frames[0].save(
        tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[50, 90, 40]
    )
    out, _ = predict((tmp_path / "a.gif").read_bytes(), type="white", format="gif")
    image = opened(out)
    assert (image.format, image.n_frames) == ("GIF", 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"input": ["-", "a.jpg"]}, "input=- is the standard input: it is read alone"),
        ({"type": ["mask", "rgba"]}, "output=- writes one result: give one type="),
        ({"watch": True}, "watch=true is for folders, not for a pipe"),
    ],
)
def test_what_a_pipe_cannot_be_used_for_is_said(
    predict: Predict, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        predict(b"", **settings)


def test_several_files_do_not_fit_into_one_pipe(predict: Predict, tmp_path: Path) -> None:
    for name in "ab":
        save_picture(tmp_path / f"{name}.jpg")
    with pytest.raises(CommandError, match="output=- is for one result, not for 2 files"):
        predict(b"", input=str(tmp_path))


def test_a_reader_that_has_gone_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(UserError, match="closed by its reader before the result was written"):
        send(tmp_path / "a", writing)
    os.close(writing)


def test_nothing_but_the_result_reaches_the_standard_output(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115
    with reserved_stdout() as out:
        print("a message")
        os.write(1, b"a library's message\n")
        os.write(out, b"\x89PNG\r\n\0\xff")
    captured = capfdbinary.readouterr()
    assert captured.out == b"\x89PNG\r\n\0\xff"
    assert captured.err == b"a library's message\na message\n"


def test_a_dash_alone_means_both_ends(capsys: pytest.CaptureFixture[str]) -> None:
    words = _with_bare_paths(["-", "weights=x", "type=mask"])
    assert words == ["weights=x", "type=mask", "input=-", "output=-"]
    assert _with_bare_paths(["-", "weights=x", "type=mask", "output=out"])[2:] == [
        "output=out",
        "input=-",
    ]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"\0\0\0\x20ftypisom", ".mp4"), (b"\0\0\0\x14ftypqt  ", ".mov"),
        (b"\0\0\0\x18ftypheic", ""), (b"\0\0\0\x20ftypavif", ""), (b"\x1a\x45\xdf\xa3", ".mkv"),
        (b"RIFF\0\0\0\0AVI ", ".avi"), (b"RIFF\0\0\0\0WEBP", ""), (b"\xff\xd8\xff\xe0", ""),
    ],
)  # fmt: skip
def test_a_piped_video_is_known_by_its_first_bytes(head: bytes, suffix: str) -> None:
    assert video_suffix(head) == suffix
