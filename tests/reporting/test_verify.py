"""Each printed number is met, missed, not measured, or not to be believed."""

from pathlib import Path
from typing import Any

import pytest

from src.reporting.groups import Group, group
from src.reporting.reported_results import ReportedResult
from src.reporting.runs import collect
from src.reporting.verify import VerifiedNumber, report, verify
from tests.reporting.run_folders import write_run


def printed(value: float = 0.8, tolerance: float = 0.01, **changes: Any) -> ReportedResult:
    row = ReportedResult(
        experiment="isnet/dis5k",
        trained_on=("DIS-TR",),
        test_set="SOD",
        metric="maxF",
        printed=f"{value:.3f}",
        value=value,
        compares_with="max_f",
        tolerance=tolerance,
        source="Table 2",
        note="",
    )
    return row._replace(**changes)


def groups(root: Path, *values: float, **more: Any) -> list[Group]:
    for seed, value in enumerate(values):
        write_run(root / str(seed), {"SOD": {"max_f": value}}, seed=seed, **more)
    return group(collect([root]))


@pytest.mark.parametrize(
    ("value", "passed"), [(0.79, True), (0.81, True), (0.7899, False), (0.8101, False)]
)
def test_the_tolerance_is_kept_on_both_sides_and_at_its_ends(
    tmp_path: Path, value: float, passed: bool
) -> None:
    (check,) = verify(groups(tmp_path, value), [printed()])
    assert check.passed is passed
    assert check.objections == ()


def test_the_mean_over_seeds_counts(tmp_path: Path) -> None:
    (check,) = verify(groups(tmp_path, 0.70, 0.90), [printed()])
    assert check.passed
    line, count = report([check], 3).splitlines()
    assert line == ("ok   isnet/dis5k SOD max_f: 0.800 ± 0.141 (2 seeds), published 0.800 ± 0.01")
    assert count == "1 of 1 numbers agree"


def test_what_was_not_measured_does_not_pass(tmp_path: Path) -> None:
    rows = [printed(test_set="ECSSD"), printed(compares_with="mae")]
    checks = verify(groups(tmp_path, 0.8), rows)
    assert [check.passed for check in checks] == [False, False]
    assert report(checks, 3).splitlines() == [
        "FAIL isnet/dis5k ECSSD max_f: not measured, published 0.800 ± 0.01",
        "FAIL isnet/dis5k SOD mae: not measured, published 0.800 ± 0.01",
        "0 of 2 numbers agree",
    ]


def test_an_undefined_number_does_not_pass(tmp_path: Path) -> None:
    (check,) = verify(groups(tmp_path, float("nan")), [printed()])
    assert not check.passed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": ["SOD"]}, "contaminated: it was trained on SOD"),
        ({"images": {"SOD": 1}}, "missing images: 1 of 2"),
        ({"train": ["DUTS-TR"]}, "DIS-TR"),
    ],
)
def test_a_number_that_is_met_unfairly_does_not_pass(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    checks = verify(groups(tmp_path, 0.8, **changes), [printed()])
    assert not checks[0].passed
    assert words in report(checks, 3).splitlines()[0].partition("; ")[2]


def test_only_rows_that_stand_beside_a_group_are_checked(tmp_path: Path) -> None:
    rows = [printed(), printed(experiment="isnet/other")]
    assert len(verify(groups(tmp_path, 0.8), rows)) == 1
    assert verify([], rows) == []


def test_a_recipe_may_stand_beside_anothers_numbers(tmp_path: Path) -> None:
    config = {"published": "isnet/dis5k"}
    (check,) = verify(groups(tmp_path, 0.8, name="mine", config=config), [printed()])
    assert (check.group, check.passed) == ("mine", True)


def test_counts_are_shown_with_one_decimal() -> None:
    row = printed(1016.0, 20.0, compares_with="hce", printed="1016")
    line = report([VerifiedNumber("a", row, None, ())], 3).splitlines()[0]
    assert line == "FAIL a SOD hce: not measured, published 1016 ± 20"


def test_a_report_of_nothing() -> None:
    assert report([], 3) == "0 of 0 numbers agree\n"
