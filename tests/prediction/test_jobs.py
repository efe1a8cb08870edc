"""Which files are found, and how their results are called."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.prediction.jobs import find_sources
from tests.prediction.tiny import save_picture


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.jpg", "sub/b.png", "sub/deep/c.webp"):
        save_picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "clip.mp4").write_bytes(b"x")
    (tmp_path / ".hidden.jpg").write_bytes(b"x")
    return tmp_path


def names(wanted: str | Path | list[str | Path], **options: bool) -> list[str]:
    return sorted(str(source.name) for source in find_sources(wanted, **options))


def test_a_folder(tree: Path) -> None:
    assert names(tree) == ["a", "clip", "sub/b", "sub/deep/c"]
    assert names(tree, recursive=False) == ["a", "clip"]


def test_a_file_a_pattern_and_a_list(tree: Path) -> None:
    assert names(tree / "sub/b.png") == ["b"]
    assert names(f"{tree}/*/*.png") == ["sub/b"]
    assert names(f"{tree}/**/*.webp") == ["sub/deep/c"]
    assert names([tree / "a.jpg", tree / "sub"]) == ["a", "b", "deep/c"]


def test_videos_are_known(tree: Path) -> None:
    assert [s.path.name for s in find_sources(tree) if s.is_video] == ["clip.mp4"]


def test_files_that_differ_in_their_suffix_keep_it(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.jpg")
    save_picture(tmp_path / "a.png")
    assert names(tmp_path) == ["a.jpg", "a.png"]


@pytest.mark.parametrize("wanted", ["nothing", "*.jpg", "."])
def test_nothing_there(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(UserError, match="input"):
        find_sources(tmp_path / wanted)


def test_one_name_in_two_folders_is_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_picture(tmp_path / folder / "1.jpg", 9, 12)
    with pytest.raises(UserError, match=r"a/1\.jpg and .*b/1\.jpg would have the same result"):
        find_sources([tmp_path / "a", tmp_path / "b"])
    assert len(find_sources([tmp_path, tmp_path / "a" / "1.jpg"])) == 2
