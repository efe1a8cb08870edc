"""Links are followed, in an order that is the same everywhere, and never in a circle."""

from pathlib import Path

from src.paths import files_below


def names(folder: Path, *, hidden: bool = False) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in files_below(folder, hidden=hidden)]


def touch(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_files_come_in_the_order_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "b/y", "b/x", "a", "c", ".hidden", ".git/x", "__MACOSX/._a")
    assert names(tmp_path) == ["a", "b/x", "b/y", "c"]
    assert names(tmp_path, hidden=True) == [
        *(".git/x", ".hidden", "__MACOSX/._a", "a", "b/x", "b/y", "c")
    ]


def test_linked_folders_are_followed_each_under_its_own_name(tmp_path: Path) -> None:
    touch(tmp_path / "far", "a")
    folder = touch(tmp_path / "here", "b")
    for name in ("one", "two"):
        (folder / name).symlink_to(tmp_path / "far")
    assert names(folder) == ["b", "one/a", "two/a"]


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    folder = touch(tmp_path / "here", "a", "deep/b")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "self").symlink_to(".")
    (folder / "knot").symlink_to("knot")
    assert names(folder) == ["a", "deep/b", "knot"]
