"""Runs of two recipes beside printed numbers, and their table."""

from pathlib import Path

import pytest

from src.reporting.groups import Group, group
from src.reporting.reported_results import ReportedResult
from src.reporting.runs import collect
from src.reporting.table import Table, build
from tests.reporting.run_folders import write_run


def _row(metric: str, value: float, compares_with: str | None) -> ReportedResult:
    text, tolerance = f"{value:.3f}", 0.01 if compares_with else None
    place = ("u2net/u2net", (), "SOD")
    return ReportedResult(
        *place, metric, text, value, compares_with, tolerance, "Table 4", "a doubt"
    )


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    """Two seeds of u2net in u0 and u1; `mine`; `unfair`, which was trained on the test set."""
    for seed, value in enumerate((0.85, 0.87)):
        scores = {"SOD": {"max_f_dis": value, "mae": 0.10}}
        write_run(tmp_path / f"u{seed}", scores, name="u2net/u2net", seed=seed)
    scores = {"SOD": {"max_f_dis": 0.80, "mae": 0.12}}
    write_run(tmp_path / "other", scores, name="mine", model="u2netp")
    unfair = {"SOD": {"max_f_dis": 0.99, "mae": 0.01}}
    write_run(tmp_path / "unfair", unfair, name="unfair", train=["SOD"], seed=0)
    return group(collect([tmp_path]))


@pytest.fixture
def paper() -> list[ReportedResult]:
    """Of u2net on SOD, one comparable and one not."""
    return [_row("max_f", 0.861, "max_f_dis"), _row("relax_fb", 0.613, None)]


@pytest.fixture
def table(groups: list[Group], paper: list[ReportedResult]) -> Table:
    return build(groups, paper)
