"""Where results go, when a source is done, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.inference.image_file import ImageFile
from src.inference.outputs import parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.sources import Source, find_sources


def plan(folder: Path, *words: str, **values: object) -> PredictConfig:
    return PredictConfig(parse_outputs(list(words) or "mask"), folder, **values)  # type: ignore[arg-type]


def source(path: Path | str, name: str) -> Source:
    return Source(Path(path), Path(name))


def image_file(path: str, kind: str, dtype: type = np.uint8) -> ImageFile:
    return ImageFile(Path(path), np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), dtype), kind)


def test_one_output_mirrors_the_tree_and_several_have_folders_in_it(tmp_path: Path) -> None:
    cat = source("in/sub/cat.jpg", "sub/cat")
    alone, several = plan(tmp_path), plan(tmp_path, "mask", "#ff8800")
    assert alone.target(cat, alone.outputs[0], ".png") == tmp_path / "sub" / "cat.png"
    assert [several.target(cat, output, ".png") for output in several.outputs] == [
        tmp_path / "mask" / "sub" / "cat.png",
        tmp_path / "ff8800" / "sub" / "cat.png",
    ]


def test_a_dot_in_a_name_is_part_of_it(tmp_path: Path) -> None:
    made = plan(tmp_path)
    for name in ("v1.2", "a.jpg"):
        target = made.target(source("x", name), made.outputs[0], ".png")
        assert target.name == f"{name}.png"


@pytest.mark.parametrize(
    ("word", "file", "kind", "dtype", "suffix"),
    [
        ("mask", "a.jpg", "JPEG", np.uint8, ".png"),
        ("white", "a.jpeg", "JPEG", np.uint8, ".jpeg"),
        ("white", "a.png", "JPEG", np.uint8, ".jpg"),  # named wrongly
        ("rgba", "a.jpg", "JPEG", np.uint8, ".png"),
        ("rgba", "a.webp", "WEBP", np.uint8, ".webp"),
        ("white", "a.tif", "TIFF", np.uint16, ".png"),
        ("white", "a.gif", "GIF", np.uint8, ".png"),
    ],
)
def test_pictures_keep_their_format_where_it_can_hold_them(
    tmp_path: Path, word: str, file: str, kind: str, dtype: type, suffix: str
) -> None:
    made = plan(tmp_path, word)
    target = made.photo_target(source(file, "a"), made.outputs[0], image_file(file, kind, dtype))
    assert target.name == f"a{suffix}"


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
def test_a_source_is_done_when_every_output_is_there(tmp_path: Path, suffix: str) -> None:
    made, cat = plan(tmp_path, "mask", "white"), source("in/cat.jpeg", "cat")
    assert not made.is_done(cat)
    for name, ending in (("mask", ".png"), ("white", suffix)):
        assert not made.is_done(cat)
        (tmp_path / name).mkdir()
        (tmp_path / name / f"cat{ending}").touch()
    assert made.is_done(cat)
    assert not made.is_done(source("in/cat.2.jpeg", "cat.2"))


def test_a_folder_of_the_results_name_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "cat.png").mkdir()
    assert not plan(tmp_path).is_done(source("in/cat.jpg", "cat"))


def test_no_source_is_overwritten_by_whatever_way_its_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cat.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    sources = find_sources(tmp_path / "in")
    for folder in (tmp_path / "in", tmp_path / "link", tmp_path / "x" / ".." / "in"):
        with pytest.raises(UserError, match=r"cat\.png would be overwritten"):
            plan(folder).protect(sources)
    plan(tmp_path / "out").protect(sources)
    plan(tmp_path / "in", "mask", "white").protect(sources)


@pytest.mark.parametrize(
    "values", [{"crop": "hand"}, {"smoothing": 1.0}, {"smoothing": -0.1}, {"smoothing": np.nan}]
)
def test_plans_that_cannot_be(values: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        plan(tmp_path, **values)


def test_the_ends_of_smoothing(tmp_path: Path) -> None:
    assert [plan(tmp_path, smoothing=share).smoothing for share in (0, 0.99)] == [0, 0.99]


def test_beside_its_source_a_result_replaces_nothing(tmp_path: Path) -> None:
    for name in ("cat.jpg", "cat.png"):
        (tmp_path / name).touch()
    sources = find_sources(tmp_path / "cat.jpg")
    with pytest.raises(UserError, match=r"cat\.png is there already and may be an original"):
        plan(tmp_path).protect(sources)
    plan(tmp_path, skip_existing=True).protect(sources)
    plan(tmp_path / "out").protect(sources)


def test_names_that_differ_in_case_need_a_folder_that_keeps_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [source("in/A.jpg", "A"), source("in/a.jpg", "a")]
    monkeypatch.setattr("src.inference.predict_config.ignores_case", lambda folder: False)
    plan(tmp_path).protect(sources)
    monkeypatch.setattr("src.inference.predict_config.ignores_case", lambda folder: True)
    with pytest.raises(UserError, match=r"in/A\.jpg and in/a\.jpg would have one result"):
        plan(tmp_path).protect(sources)


def test_another_outputs_file_does_not_count_as_done(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").touch()
    assert not plan(tmp_path, "mask").is_done(source("in/cat.jpg", "cat"))
    assert not plan(tmp_path, "rgba").is_done(source("in/cat.jpg", "cat"))
    assert plan(tmp_path, "white").is_done(source("in/cat.jpg", "cat"))
