"""Runs are found, read, and gathered over their seeds."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.metrics import describe
from src.reporting.groups import Group, group
from src.reporting.runs import collect
from tests.reporting.run_folders import write_run, write_scores


def groups(root: Path, **arguments: object) -> list[Group]:
    return group(collect([root], **arguments))  # type: ignore[arg-type]


def test_seeds_become_mean_and_sample_deviation(tmp_path: Path) -> None:
    for seed, value in enumerate((0.70, 0.72, 0.74)):
        write_run(tmp_path / f"s{seed}", {"DIS-TE1": {"max_f": value}}, seed=seed)
    (only,) = groups(tmp_path)
    spread = only.spread("DIS-TE1", "max_f")
    assert only.seeds == [0, 1, 2]
    assert spread is not None
    assert spread.mean == pytest.approx(0.72)
    assert spread.std == pytest.approx(0.02)


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.7}})
    assert groups(tmp_path)[0].spread("DIS-TE1", "max_f") == (0.7, None, 1)


def test_the_newest_run_of_a_seed_counts(tmp_path: Path) -> None:
    write_run(tmp_path / "2026-01-01", {"DIS-TE1": {"max_f": 0.1}})
    write_run(tmp_path / "2026-01-02", {"DIS-TE1": {"max_f": 0.7}})
    (only,) = groups(tmp_path)
    assert only.spread("DIS-TE1", "max_f") == (0.7, None, 1)
    assert only.superseded == 1


def test_recipes_that_differ_are_apart_and_say_in_what(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}})
    write_run(tmp_path / "b", {"DIS-TE1": {"max_f": 0.2}}, config={"model": {"size": 128}})
    labels = {group.label for group in groups(tmp_path)}
    assert labels == {"isnet/dis5k [model.size=64]", "isnet/dis5k [model.size=128]"}


def test_where_the_data_lies_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}}, seed=0)
    write_run(
        tmp_path / "b", {"DIS-TE1": {"max_f": 0.2}}, seed=1, config={"data": {"root": "elsewhere"}}
    )
    assert len(groups(tmp_path)) == 1


def test_what_it_was_tested_on_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}}, seed=0)
    write_run(tmp_path / "b", {"DIS-TE2": {"max_f": 0.2}}, seed=1)
    (only,) = groups(tmp_path)
    assert only.test_sets() == ["DIS-TE1", "DIS-TE2"]


def test_weights_that_were_only_tested_are_a_row_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}})
    tested = {"fit": False, "weights": "weights/isnet.pth"}
    write_run(tmp_path / "b", {"DIS-TE1": {"max_f": 0.2}}, config=tested)
    assert [g.label for g in groups(tmp_path)] == ["isnet/dis5k", "isnet/dis5k (weights isnet)"]


def test_two_folders_of_maps_of_one_name_are_two_rows(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_scores(tmp_path / name, {"SOD": {"mae": 0.1}}, method="Amulet")
    labels = {group.label for group in groups(tmp_path)}
    assert labels == {f"Amulet [maps={tmp_path / name}]" for name in ("a", "b")}


def test_words_of_a_protocol_may_change_and_its_id_may_not(tmp_path: Path) -> None:
    said = describe("max_f")
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}}, protocol={"max_f": said})
    scores = {"DIS-TE1": {"max_f": 0.2}}
    write_scores(tmp_path / "b", scores, protocol={"max_f": f"{said}, said more clearly"})
    assert len(groups(tmp_path)) == 2
    write_scores(tmp_path / "b", scores, protocol={"max_f": said.replace("max_f/1", "max_f/2")})
    with pytest.raises(UserError, match="max_f was computed by two protocols"):
        groups(tmp_path)


def test_mixed_protocols_are_refused_naming_both(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.1}})
    write_run(
        *(tmp_path / "b", {"DIS-TE1": {"max_f": 0.2}}),
        name="other",
        protocol={"max_f": "255 thresholds"},
    )
    with pytest.raises(UserError, match=r"max_f[\s\S]*a: 256 thresh[\s\S]*b: 255 thresholds"):
        groups(tmp_path)


def test_means_over_sets_are_per_seed(tmp_path: Path) -> None:
    for seed in range(2):
        tables = {"A": {"max_f": 0.2 + seed / 10, "mae": 0.1}, "B": {"max_f": 0.6 + seed / 10}}
        write_run(tmp_path / str(seed), tables, seed=seed)
    (only,) = groups(tmp_path, means={"A+B": ["A", "B"], "A+C": ["A", "C"]})
    spread = only.spread("A+B", "max_f")
    assert spread is not None
    assert spread.mean == pytest.approx(0.45)
    assert spread.std == pytest.approx(0.0707, abs=1e-4)
    assert only.spread("A+B", "mae") is None
    assert only.test_sets() == ["A", "B", "A+B"]
    assert only.runs[0].images("A+B") == only.runs[0].expected_images("A+B") == 4
