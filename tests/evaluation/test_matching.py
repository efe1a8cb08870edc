"""Maps and targets meet by name; whatever has no partner is listed."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.evaluation.matching import Naming, find_pairs, incomplete


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(maps: Path, target: Path) -> list[tuple[str, str]]:
    return [(pair.set, pair.name) for pair in find_pairs(maps, target).pairs]


def test_flat_folders_are_one_data_set(tmp_path: Path) -> None:
    maps = touch(tmp_path / "model", "b.png", "a.jpg")
    target = touch(tmp_path / "SOD", "a.png", "b.npy", ".hidden.png", "notes.txt")
    assert found(maps, target) == [("SOD", "a"), ("SOD", "b")]


def test_truth_folder_is_named_after_its_data_set(tmp_path: Path) -> None:
    target = touch(tmp_path / "ECSSD", "masks/a.png", "images/a.jpg")
    maps = touch(tmp_path / "maps", "a.png")
    assert found(maps, target / "masks") == [("ECSSD", "a")]
    assert found(maps, target) == [("ECSSD", "a")]  # images are no targets where masks are named


def test_folders_are_data_sets_and_keep_their_trees(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "TE1/a.png", "TE2/a.png", "TE2/deep/b.png")
    target = touch(tmp_path / "data", "TE1/gt/a.png", "TE2/gt/a.png", "TE2/gt/deep/b.png")
    touch(target, "TE1/im/a.jpg")
    pairing = find_pairs(maps, target)
    assert [(p.set, p.name) for p in pairing.pairs] == [
        ("TE1", "a"),
        ("TE2", "a"),
        ("TE2", "deep/b"),
    ]
    assert pairing.problems == []
    assert pairing.targets == {"TE1": 1, "TE2": 2}


def test_every_fault_is_listed(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "a.png", "a.jpg", "x.png", "y.png")
    target = touch(tmp_path / "set", "a.png", "b.png", "c.png")
    pairing = find_pairs(maps, target)
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
    assert incomplete(pairing.targets, {"set": 1}) == {"set": "1 of 3"}


def test_folder_without_images(tmp_path: Path) -> None:
    target = touch(tmp_path / "set", "a.png")
    with pytest.raises(UserError, match="maps: no folder"):
        find_pairs(tmp_path / "nowhere", target)
    with pytest.raises(UserError, match="maps: no image in"):
        find_pairs(touch(tmp_path / "empty", "a.txt"), target)


def test_linked_folders_are_read(tmp_path: Path) -> None:
    touch(tmp_path / "far maps", "a.png")
    touch(tmp_path / "far targets", "a.png")
    maps, target = touch(tmp_path / "maps", "x.txt"), touch(tmp_path / "data", "x.txt")
    (maps / "SET").symlink_to(tmp_path / "far maps")
    (target / "SET").symlink_to(tmp_path / "far targets")
    (target / "SET" / "again").symlink_to(target)
    assert found(maps, target) == [("SET", "a")]


def test_kinds_that_are_not_read_are_faults_with_a_count(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "a.png", "b.gif", "c.GIF", "d.jp2")
    target = touch(tmp_path / "SET", "a.png", "b.gif", "c.gif", "notes.txt")
    pairing = find_pairs(maps, target)
    texts = [problem.text for problem in pairing.problems if problem.kind == "unread"]
    assert texts == [
        f"2 .gif files in {maps} (b.gif): this kind is not read; save them as PNG",
        f"1 .jp2 files in {maps} (d.jp2): this kind is not read; save them as PNG",
        f"2 .gif files in {target} (b.gif): this kind is not read; save them as PNG",
    ]
    assert pairing.targets == {"SET": 3}
    with pytest.raises(UserError, match=r"no image in .*there are 2 \.gif, which are not read"):
        find_pairs(touch(tmp_path / "gifs", "a.gif", "b.gif"), target)


def test_a_link_to_nothing_is_a_missing_image(tmp_path: Path) -> None:
    maps, target = touch(tmp_path / "maps", "a.png"), touch(tmp_path / "SET", "a.png")
    (target / "b.png").symlink_to("nowhere")
    pairing = find_pairs(maps, target)
    assert [problem.kind for problem in pairing.problems] == ["unreadable"]
    assert pairing.targets == {"SET": 2}


def test_names_that_differ_in_how_accents_are_encoded_are_one(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "cafe\u0301.png")
    target = touch(tmp_path / "SET", "caf\u00e9.png")
    assert found(maps, target) == [("SET", "caf\u00e9")]
    touch(maps, "caf\u00e9.png")
    assert [problem.kind for problem in find_pairs(maps, target).problems] == ["twice"]


def test_suffixes_pair_and_are_hinted_at(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "a_pred.png", "b_pred.png")
    target = touch(tmp_path / "SET", "a_mask.png", "b_mask.png", "a.jpg", "b.jpg")
    pairing = find_pairs(maps, target, Naming(map_suffix="_pred", mask_suffix="_mask"))
    assert [pair.name for pair in pairing.pairs] == ["a", "b"]
    assert pairing.remarks == ["ground_truth: 2 images without mask_suffix=_mask left out"]
    with pytest.raises(UserError, match=r"no image in .* whose name has map_suffix=_out"):
        find_pairs(maps, target, Naming(map_suffix="_out", mask_suffix="_mask"))
    plain = touch(tmp_path / "plain", "a.png", "b.png")
    assert find_pairs(maps, plain).remarks == [
        "2 names without a partner end with it: map_suffix=_pred"
    ]
    assert find_pairs(plain, touch(tmp_path / "m", "a_mask.png", "b_mask.png")).remarks == [
        "2 names without a partner end with it: mask_suffix=_mask"
    ]


def test_names_may_carry_something_before_and_after(tmp_path: Path) -> None:
    maps = touch(tmp_path / "maps", "sal_a_out.png", "sal_.png", "b_out.png", "sal__out.png")
    target = touch(tmp_path / "SOD", "gt_a.png")
    naming = Naming("sal_", "_out", "gt_")
    pairing = find_pairs(maps, target, naming)
    assert [(pair.name, pair.map.name, pair.target.name) for pair in pairing.pairs] == [
        ("a", "sal_a_out.png", "gt_a.png")
    ]
    assert pairing.remarks == [
        "maps: 3 images without map_prefix=sal_ and map_suffix=_out left out"
    ]


def test_a_set_given_by_name_holds_all_folders(tmp_path: Path) -> None:
    maps = touch(tmp_path / "DSS", "video1/a.png", "video2/a.png")
    target = touch(tmp_path / "truth", "gt/video1/a.png", "gt/video2/a.png")
    pairing = find_pairs(maps, target, set_name="DAVIS")
    assert [(pair.set, pair.name) for pair in pairing.pairs] == [
        ("DAVIS", "video1/a"),
        ("DAVIS", "video2/a"),
    ]
    assert pairing.targets == {"DAVIS": 2}
