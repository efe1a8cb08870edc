"""Many files: trees, skipping, failures that do not stop the rest."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.errors import UserError
from src.inference.outputs import Cutout, OutputType, parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.sources import find_sources
from tests.inference.tiny import finder, red_on_blue, save_picture


@pytest.fixture
def image_files(tmp_path: Path) -> Path:
    for i in range(7):
        save_picture(tmp_path / "in" / f"sub{i % 2}" / f"{i}.jpg", 60 + i, 80, quality=95)
    return tmp_path / "in"


def run(image_files: Path, plan: PredictConfig) -> Summary:
    return predict_files(finder(batch_size=3), find_sources(image_files), plan)


def test_output_mirrors_the_input(image_files: Path, tmp_path: Path) -> None:
    summary = run(image_files, PredictConfig(parse_outputs(["mask", "white"]), tmp_path / "out"))
    assert (summary.done, summary.skipped, summary.failures) == (7, 0, [])
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert found == sorted(
        [f"mask/sub{i % 2}/{i}.png" for i in range(7)]
        + [f"white/sub{i % 2}/{i}.jpg" for i in range(7)]
    )
    mask = np.asarray(Image.open(tmp_path / "out/mask/sub1/5.png"))
    assert mask.shape == (65, 80)
    assert np.abs(mask.astype(int) - red_on_blue(65, 80)[1]).mean() < 10


def test_one_output_needs_no_folder_of_its_own(image_files: Path, tmp_path: Path) -> None:
    run(image_files, PredictConfig(parse_outputs("rgba"), tmp_path / "out"))
    assert (tmp_path / "out/sub0/0.png").is_file()


def test_bad_files_are_listed_and_the_rest_done(image_files: Path, tmp_path: Path) -> None:
    (image_files / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (image_files / "empty.png").touch()
    (image_files / "film.mp4").write_bytes(b"no film")
    summary = run(image_files, PredictConfig(parse_outputs("mask"), tmp_path / "out"))
    assert summary.done == 7
    assert sorted(f.path.name for f in summary.failures) == ["broken.jpg", "empty.png", "film.mp4"]
    assert "3 failed" in str(summary)
    assert "empty file" in str(summary)


def test_what_is_done_is_skipped(image_files: Path, tmp_path: Path) -> None:
    plan = PredictConfig(parse_outputs(["mask", "white"]), tmp_path / "out", skip_existing=True)
    run(image_files, plan)
    (tmp_path / "out/white/sub1/3.jpg").unlink()
    before = (tmp_path / "out/mask/sub0/2.png").stat().st_mtime_ns
    summary = run(image_files, plan)
    assert (summary.done, summary.skipped) == (1, 6)
    assert (tmp_path / "out/white/sub1/3.jpg").is_file()
    assert (tmp_path / "out/mask/sub0/2.png").stat().st_mtime_ns == before


def test_originals_are_never_overwritten(image_files: Path) -> None:
    with pytest.raises(UserError, match="overwritten"):
        run(image_files, PredictConfig(parse_outputs("white"), image_files))


def test_a_face_is_asked_for_in_vain(image_files: Path, tmp_path: Path) -> None:
    plan = replace(PredictConfig(parse_outputs("mask"), tmp_path / "out"), crop="face")
    summary = run(image_files, plan)
    assert len(summary.failures) == 7
    assert "no upright frontal face" in str(summary)


def test_large_pictures_are_cut_one_at_a_time(
    image_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several at once would not fit into memory: each takes a hundred bytes a pixel."""
    from src.inference import predict_files

    at_once: list[int] = []
    running = 0

    def render(cut: Cutout) -> np.ndarray:
        nonlocal running
        running += 1
        at_once.append(running)
        time.sleep(0.02)
        running -= 1
        return cut.mask

    monkeypatch.setattr(predict_files, "_LARGE", 100)
    run(image_files, PredictConfig([OutputType("mask", render)], tmp_path / "out"))
    assert at_once == [1] * 7


def test_a_kind_that_is_not_read_is_named_with_what_to_do(
    image_files: Path, tmp_path: Path
) -> None:
    (image_files / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (image_files / "gone.jpg").symlink_to("nowhere")
    summary = run(image_files, PredictConfig(parse_outputs("mask"), tmp_path / "out"))
    assert summary.done == 7
    said = str(summary)
    assert "phone.jpg: HEIC image, damaged or cut short" in said
    assert "No such file or directory" in said
    assert "2 failed; left out, of kinds that are not read: 1 .cr2" in str(
        summary._replace(left_out="1 .cr2")
    )
