"""Maps and truths meet by name; whatever has no partner is listed."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.evaluation.pairs import find_pairs, incomplete


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(maps: Path, truth: Path) -> list[tuple[str, str]]:
    return [(pair.set, pair.name) for pair in find_pairs(maps, truth).pairs]


def test_flat_folders_are_one_data_set(tmp_path: Path) -> None:
    maps = touch(tmp_path / "model", "b.png", "a.jpg")
    truth = touch(tmp_path / "SOD", "a.png", "b.npy", ".hidden.png", "notes.txt")
    assert found(maps, truth) == [("SOD", "a"), ("SOD", "b")]


def test_truth_folder_is_named_after_its_data_set(tmp_path: Path) -> None:
    truth = touch(tmp_path / "ECSSD", "masks/a.png", "images/a.jpg")
    maps = touch(tmp_path / "maps", "a.png")
    assert found(maps, truth / "masks") == [("ECSSD", "a")]
    assert found(maps, truth) == [("ECSSD", "a")]  # images are no truths where masks are named


def test_folders_are_data_sets_and_keep_their_trees(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "TE1/a.png", "TE2/a.png", "TE2/deep/b.png")
    truth = touch(tmp_path / "data", "TE1/gt/a.png", "TE2/gt/a.png", "TE2/gt/deep/b.png")
    touch(truth, "TE1/im/a.jpg")
    pairing = find_pairs(maps, truth)
    assert [(p.set, p.name) for p in pairing.pairs] == [
        ("TE1", "a"),
        ("TE2", "a"),
        ("TE2", "deep/b"),
    ]
    assert pairing.problems == []
    assert pairing.truths == {"TE1": 1, "TE2": 2}


def test_every_fault_is_listed(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "a.png", "a.jpg", "x.png", "y.png")
    truth = touch(tmp_path / "set", "a.png", "b.png", "c.png")
    pairing = find_pairs(maps, truth)
    lines = [str(problem) for problem in pairing.problems]
    assert [problem.kind for problem in pairing.problems] == [
        "twice",
        "missing",
        "missing",
        "extra",
        "extra",
    ]
    assert "b.png" in lines[1]
    assert "x.png" in lines[3]
    assert incomplete(pairing.truths, {"set": 1}) == {"set": "1 of 3"}


def test_folder_without_images(tmp_path: Path) -> None:
    truth = touch(tmp_path / "set", "a.png")
    with pytest.raises(UserError, match="maps: no folder"):
        find_pairs(tmp_path / "nowhere", truth)
    with pytest.raises(UserError, match="maps: no image in"):
        find_pairs(touch(tmp_path / "empty", "a.txt"), truth)
