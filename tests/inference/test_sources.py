"""Which files are found, and how their results are called."""

from pathlib import Path

import pytest

from src.datamodules import file_kinds
from src.errors import UserError
from src.inference.sources import find_inputs, find_sources
from tests.inference.tiny import save_picture


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


def test_kinds_that_are_not_read_are_counted_and_texts_are_not(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_kinds, "_is_installed", lambda module: False)
    for name in ("1.HEIC", "2.heic", "sub/3.cr2", "4.jxl", "b.pdf", "Thumbs.db", "c.json", "d"):
        (tree / name).write_bytes(b"x")
    save_picture(tree / "sub" / "5.png").rename(tree / "sub" / "5.img")
    inputs = find_inputs(tree)
    assert len(inputs.sources) == 4
    assert inputs.missed == {".heic": 2, ".cr2": 1, ".jxl": 1, ".img": 1}
    assert inputs.left_out.startswith(
        "1 .cr2, 2 .heic, 1 .img, 1 .jxl, 1 .pdf (for HEIC and JPEG XL: pip install "
    )
    with pytest.raises(UserError, match=r"that can be read, but 1 \.heic \(for HEIC: pip install"):
        find_inputs([str(tree / "2.*")])
    monkeypatch.undo()
    assert find_inputs(tree).missed == {".cr2": 1, ".img": 1}


def test_a_file_asked_for_by_name_is_tried_whatever_its_suffix(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png").rename(tmp_path / "a")
    assert names(tmp_path / "a") == ["a"]
    with pytest.raises(UserError, match="no suffix"):
        find_inputs(tmp_path)


def test_a_destination_that_is_the_input_itself_is_answered(tree: Path) -> None:
    for destination in (tree, tree / "sub" / ".."):
        with pytest.raises(UserError, match="is the folder of the input itself"):
            find_inputs(tree, output=destination)
    assert len(find_inputs(tree, output=tree / "sub").sources) == 2
    assert len(find_inputs(tree / "sub", output=tree).sources) == 2
    assert len(find_inputs(tree / "a.jpg", output=tree).sources) == 1


def test_linked_folders_are_followed_once_and_hidden_ones_are_not(tree: Path) -> None:
    elsewhere = tree.with_name("elsewhere")
    save_picture(elsewhere / "d.png", 9, 12)
    save_picture(tree / ".thumbnails" / "e.png", 9, 12)
    (tree / "link").symlink_to(elsewhere)
    (tree / "sub" / "circle").symlink_to(tree)
    (tree / "gone.png").symlink_to("nowhere")
    assert names(tree) == ["a", "clip", "gone", "link/d", "sub/b", "sub/deep/c"]


def test_an_accent_of_one_sign_or_two_is_one_name(tmp_path: Path) -> None:
    save_picture(tmp_path / "cafe\u0301" / "e\u0301.jpg", 9, 12)
    assert len(find_sources(str(tmp_path / "caf\u00e9" / "\u00e9.jpg"))) == 1


def test_a_pattern_that_cannot_be_is_said(tree: Path) -> None:
    with pytest.raises(UserError, match="input"):
        find_sources(f"{tree}/**x")
