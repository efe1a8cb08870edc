"""What commands write is there whole or not at all, and under a name of its own."""

import errno
import json
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src.atomic import atomic_write_image, encode_image
from src.datamodules.check import check, inspections_of, show
from src.datamodules.inspection import Inspection
from src.engines.formats import SUFFIXES, write_torch_export, write_torchscript
from src.errors import UserError
from src.inference.outputs import parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.sources import _named as named
from src.inference.sources import find_sources
from tests.inference.tiny import finder, save_picture
from tests.running import write_pairs


@contextmanager
def little_room(room: int) -> Iterator[None]:
    """No file may grow beyond `room` bytes, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def pairs_in(folder: Path) -> Sequence[Inspection[Any]]:
    """The set of a folder's `images` and `masks`, as the data check takes it."""
    train = {"images": "images", "masks": "masks"}
    return inspections_of(OmegaConf.create({"root": str(folder), "train": train}))


def write_noise(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    atomic_write_image(folder / "a.png", noise)


class Added(torch.nn.Module):
    """A graph of one step, with weights that fill a file."""

    def __init__(self) -> None:
        super().__init__()
        self.values = torch.nn.Parameter(torch.rand(64, 64))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.values


def export_as(kind: str) -> Callable[[Path], None]:
    return lambda folder: _export(kind, folder / f"added{SUFFIXES[kind]}")


def _export(kind: str, path: Path) -> None:
    module, example = Added().eval().requires_grad_(False), torch.rand(64, 64)
    if kind == "torchscript":
        write_torchscript(module, example, path, {})
    elif kind == "torch_export":
        write_torch_export(module, example, path, {}, {"image": {}})
    else:
        pytest.importorskip("onnx")
        from src.engines.formats import write_onnx

        write_onnx(module, example, path, {}, {"image": {}}, output="sum")


@pytest.mark.parametrize(
    "write",
    [write_noise, *map(export_as, SUFFIXES)],
    ids=["image", *SUFFIXES],
)
def test_a_full_disk_leaves_no_half_of_a_file(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write_pairs(tmp_path / "pairs", 3)
    folder = tmp_path / "out"
    folder.mkdir()
    with little_room(1500), pytest.raises(OSError, match="too large") as caught:
        write(folder)
    assert caught.value.errno == errno.EFBIG
    assert str(folder) in str(caught.value)
    assert files(folder) == []


def test_a_check_on_a_full_disk_shows_what_it_found_and_says_what_it_could_not_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs", 3)
    sets = pairs_in(tmp_path / "pairs")
    folder = tmp_path / "out"
    with little_room(200):
        report = check(sets, folder, workers=1)
    with pytest.raises(UserError, match=r"train\.png: .*(\n.*)report\.json: File too large"):
        show(sets, report, folder)
    assert "train: 3 sound pairs" in capsys.readouterr().out
    assert files(folder) == []


def test_images_on_a_full_disk_leave_none_and_say_so(tmp_path: Path) -> None:
    save_picture(tmp_path / "in/a.png", 200, 300)
    plan = PredictConfig(parse_outputs("white"), tmp_path / "out")
    with little_room(100), pytest.raises(OSError, match="too large") as caught:
        predict_files(finder(), find_sources(tmp_path / "in"), plan)
    assert caught.value.errno == errno.EFBIG
    assert files(tmp_path / "out") == []


def test_what_was_there_before_survives_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"before")
    with little_room(1500), pytest.raises(OSError, match="too large"):
        write_noise(tmp_path)
    assert files(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"before"


@pytest.mark.parametrize("suffix", [".xyz", "", ".p/ng", ".txt"])
def test_a_suffix_that_no_image_has_is_said(suffix: str) -> None:
    with pytest.raises(UserError, match=r"ends in \.png"):
        encode_image(suffix, np.zeros((2, 2, 3), np.uint8))


def test_an_image_that_its_format_cannot_hold_is_said() -> None:
    with pytest.raises(UserError, match="70000×1 pixels cannot be written"):
        encode_image(".jpg", np.zeros((1, 70000, 3), np.uint8))


NAMES = st.text(alphabet="aAbé.", min_size=1, max_size=3)
SUFFIX = st.sampled_from([".jpg", ".png", ".JPG", ".mp4", ""])


@settings(max_examples=60, deadline=None)
@given(st.sets(st.builds(lambda a, b, c: a + b + c, NAMES, SUFFIX, SUFFIX), max_size=8))
def test_no_two_files_of_a_folder_have_one_result(found: set[str]) -> None:
    found -= {".", ".."}
    sources = named([(Path("in", name), Path(name)) for name in sorted(found)])
    for suffix in (".png", ".jpg"):
        results = {f"{source.name}{suffix}" for source in sources}
        assert len(results) == len(found)


def test_three_files_that_share_their_beginning_have_three_masks(tmp_path: Path) -> None:
    for name in ("x.jpg", "x.png", "x.png.jpg"):
        save_picture(tmp_path / "in" / name)
    plan = PredictConfig(parse_outputs("mask"), tmp_path / "out")
    summary = predict_files(finder(), find_sources(tmp_path / "in"), plan)
    assert summary == Summary(3, 0, [])
    assert files(tmp_path / "out") == ["x.jpg.png", "x.png.jpg.png", "x.png.png"]


def test_the_report_of_a_check_holds_names_that_are_no_text(tmp_path: Path) -> None:
    write_pairs(tmp_path, 2)
    try:
        (tmp_path / "images" / "bad\udcff.png").write_bytes(b"no")
    except OSError:  # macOS has no such names
        pytest.skip("this file system has text names only")
    check(pairs_in(tmp_path), tmp_path / "out", workers=1)
    report = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    assert any("bad\udcff" in problem for problem in report["problems"])
