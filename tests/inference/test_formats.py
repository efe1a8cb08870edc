"""`format=`, `threshold=` and `invert=`: what results are written as, and which side is kept."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageCms

from src.errors import CommandError
from src.inference.formats import WORDS
from src.inference.outputs import inverted, parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.sources import find_sources
from src.settings.schema import ResultFormat
from tests.inference.tiny import finder, red_on_blue, save_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def run(path: Path, out: Path, *types: str, **options: object) -> Summary:
    outputs = parse_outputs(list(types), threshold=options.get("threshold"))  # type: ignore[arg-type]
    plan = PredictConfig(outputs, out, **options)  # type: ignore[arg-type]
    return predict_files(finder(), find_sources(path), plan, finished=lambda: None)


def levels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def test_the_words_of_the_settings_are_those_that_are_written() -> None:
    assert set(get_args(ResultFormat)) == set(WORDS)


@pytest.mark.parametrize("word", ["webp", "avif", "png", "tif"])
def test_a_cutout_keeps_what_its_photo_carries_in_every_format(tmp_path: Path, word: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    path = save_picture(tmp_path / "a.jpg", icc_profile=PROFILE, exif=exif)
    summary = run(path, tmp_path / "out", "rgba", "mask", formats=[word])
    assert summary.done == 1, str(summary)
    with Image.open(tmp_path / f"out/rgba/a.{word}") as written:
        assert written.mode == "RGBA"
        assert written.size == (90, 120)
        assert written.info["icc_profile"] == PROFILE
        assert written.getexif()[0x010F] == "Maker"
        assert written.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("word", ["webp", "avif", "tif", "bmp", "gif"])
def test_a_mask_keeps_its_levels_in_every_format(tmp_path: Path, word: str) -> None:
    path = save_picture(tmp_path / "a.png")
    run(path, tmp_path / "out", "mask")
    run(path, tmp_path / "out", "mask", formats=[word])
    right, found = (levels(tmp_path / f"out/a.{end}") for end in ("png", word))
    assert 3 < len(np.unique(right)) < 256
    assert np.array_equal(found, right)


def test_photos_and_videos_of_one_call_may_have_formats_of_their_own(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    assert run(path, tmp_path / "out", "white", formats=["webm", "jpg"]).done == 1
    assert (tmp_path / "out/a.jpg").is_file()
    summary = run(path, tmp_path / "out2", "white", formats=["webm"])
    assert "a.png: is an image, and format=webm a video; add a format of images" in str(summary)


@pytest.mark.parametrize(
    ("words", "types", "said"),
    [
        (["jpg"], ["mask", "rgba"], "format=jpg holds no transparency, which type=rgba is made of"),
        (["mp4"], ["rgba"], "format=mp4 holds no transparency"),
        (["png", "png"], ["mask"], "names one twice"),
        (["heic"], ["mask"], "format=heic is unknown; choose of png"),
    ],
)
def test_what_cannot_be_written_is_said_first(
    words: list[str], types: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match=said):
        PredictConfig(parse_outputs(types), tmp_path, formats=words)


def test_a_transparent_photo_in_a_format_without_transparency_is_a_failure(tmp_path: Path) -> None:
    alpha = np.full((90, 120), 128, np.uint8)
    Image.fromarray(np.dstack([red_on_blue()[0], alpha])).save(tmp_path / "a.png")
    summary = run(tmp_path / "a.png", tmp_path / "out", "overlay", formats=["jpg"])
    assert "a.png: is transparent, which format=jpg cannot hold" in str(summary)
    assert not list((tmp_path / "out").rglob("*.*"))


def test_what_was_made_in_a_format_is_skipped_in_it_only(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    run(path, tmp_path / "out", "mask", formats=["webp"])
    options = {"skip_existing": True}
    assert run(path, tmp_path / "out", "mask", formats=["webp"], **options).skipped == 1
    assert run(path, tmp_path / "out", "mask", **options).done == 1


def test_a_threshold_makes_two_levels_where_the_mask_reaches_it(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    masks = {}
    for threshold in (None, 0.2, 0.8):
        run(path, tmp_path / str(threshold), "mask", "rgba", threshold=threshold)
        masks[threshold] = np.asarray(Image.open(tmp_path / f"{threshold}/mask/a.png"))
    soft = masks.pop(None)
    for threshold, mask in masks.items():
        assert np.array_equal(mask, np.where(soft >= threshold * 255, 255, 0))
        cutout = np.asarray(Image.open(tmp_path / f"{threshold}/rgba/a.png"))
        assert np.array_equal(cutout[..., 3], mask)
    assert masks[0.2].sum() > masks[0.8].sum() > 0


def test_inverted_the_background_is_kept(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png")
    run(path, tmp_path / "plain", "mask")
    run(path, tmp_path / "out", "mask", "rgba", invert=True)
    plain, mask = (
        np.asarray(Image.open(tmp_path / name)) for name in ("plain/a.png", "out/mask/a.png")
    )
    assert np.array_equal(mask, 255 - plain)
    cutout = np.asarray(Image.open(tmp_path / "out/rgba/a.png"))
    assert np.array_equal(cutout[..., 3], mask)
    assert np.abs(cutout[80, 110, :3].astype(int) - (20, 60, 220)).max() < 12  # the blue is there


def test_what_is_transparent_is_in_neither_side() -> None:
    mask = np.uint8([[255, 255, 0, 0, 100]])
    opacity = np.uint8([[0, 128, 128, 255, 200]])
    assert inverted(mask, opacity).tolist() == [[0, 0, 128, 255, 100]]
    assert inverted(mask, None).tolist() == [[0, 0, 255, 255, 155]]


def test_a_threshold_of_a_half_transparent_photo_still_has_two_levels(tmp_path: Path) -> None:
    alpha = np.full((90, 120), 128, np.uint8)
    Image.fromarray(np.dstack([red_on_blue()[0], alpha])).save(tmp_path / "a.png")
    run(tmp_path / "a.png", tmp_path / "out", "mask", "rgba", threshold=0.5)
    assert np.unique(np.asarray(Image.open(tmp_path / "out/mask/a.png"))).tolist() == [0, 255]
    cutout = np.asarray(Image.open(tmp_path / "out/rgba/a.png"))
    assert np.unique(cutout[..., 3]).tolist() == [0, 128]
