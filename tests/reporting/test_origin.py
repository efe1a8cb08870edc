"""Where a row comes from, as its runs wrote it down."""

from pathlib import Path
from typing import Any

from src.reporting.groups import Group, group
from src.reporting.runs import collect
from src.reporting.table import Origin, origin
from tests.reporting.run_folders import write_run

SCORES = {"SOD": {"mae": 0.1}}
LONG = "0123456789abcdef"


def only(root: Path) -> Group:
    (found,) = group(collect([root]))
    return found


def write(root: Path, seed: int, commit: str | None = "abc", **entries: Any) -> None:
    git = {"commit": commit, "dirty": False}
    write_run(root / str(seed), SCORES, seed=seed, git=git, **entries)


def test_a_trained_group_says_sets_commit_config_and_weights(tmp_path: Path) -> None:
    write(tmp_path, 0, LONG, train=["A", "B"], checkpoint={"weights": LONG, "sha256": "file"})
    write(tmp_path, 3, LONG, train=["A", "B"], checkpoint={"sha256": f"file{LONG}"})
    found = origin(only(tmp_path))
    assert found.trained_on == ("A", "B")
    assert found.commit == LONG[:12]
    assert found.weights == {0: LONG[:12], 3: "file01234567"}
    assert str(found) == (
        f"trained on A + B; commit {LONG[:12]}; config {found.config}; "
        f"weights: seed 0 {LONG[:12]}, seed 3 file01234567"
    )


def test_seeds_share_a_config_and_other_recipes_do_not(tmp_path: Path) -> None:
    write(tmp_path / "a", 0)
    write(tmp_path / "a", 1)
    write(tmp_path / "b", 0, config={"model": {"size": 128}})
    one, other = origin(only(tmp_path / "a")), origin(only(tmp_path / "b"))
    assert len(one.config) == 12
    assert one.config != other.config


def test_commits_that_differ_are_all_named(tmp_path: Path) -> None:
    for seed, commit in enumerate(("one", None, "two", "one")):
        write(tmp_path, seed, commit)
    assert origin(only(tmp_path)).commit == "one two"


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    write_run(tmp_path / "a", SCORES, git={}, config={"fit": False, "weights": "u2net.pth"})
    found = origin(only(tmp_path))
    assert (found.trained_on, found.commit, found.weights) == ((), "", {0: "unknown"})
    assert str(found).startswith("commit unknown; config ")


def test_an_origin_in_words() -> None:
    said = Origin(("A",), "abc", "c0ffee", {1: "w"})
    assert str(said) == "trained on A; commit abc; config c0ffee; weights: seed 1 w"
