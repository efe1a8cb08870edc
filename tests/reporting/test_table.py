"""The table's rows, its marks and its notes."""

from pathlib import Path

import pytest

from src.plain_data import read_json
from src.reporting.cli import write
from src.reporting.groups import Group, group
from src.reporting.reported_results import ReportedResult
from src.reporting.runs import collect
from src.reporting.table import DIFFERENCE, PUBLISHED, RUN, Table, build, show
from tests.reporting.run_folders import keep_curves, keep_pictures, write_run


def test_the_printed_row_stands_below_with_the_difference(table: Table) -> None:
    kinds = [(row.kind, row.method) for row in table.rows]
    assert kinds == [
        (RUN, "mine"),
        (RUN, "u2net/u2net"),
        (PUBLISHED, "u2net/u2net published"),
        (DIFFERENCE, "u2net/u2net − published"),
        (RUN, "unfair"),
    ]
    assert table.rows[2].cells.keys() == {"max_f_dis"}
    assert table.rows[3].cells["max_f_dis"].value == pytest.approx(-0.001)


def test_best_and_second_leave_unfair_rows_out(table: Table) -> None:
    marks = {row.method: row.cells["max_f_dis"].mark for row in table.rows}
    assert marks["u2net/u2net published"] == "best"
    assert marks["u2net/u2net"] == "second"
    assert marks["unfair"] == marks["mine"] == ""
    mae = {row.method: row.cells["mae"].mark for row in table.rows if "mae" in row.cells}
    assert mae == {"u2net/u2net": "best", "mine": "second", "unfair": ""}


def test_what_looks_equal_shares_a_mark(tmp_path: Path) -> None:
    for name, value in (("a", 0.7601), ("b", 0.7604), ("c", 0.70)):
        write_run(tmp_path / name, {"SOD": {"max_f": value}}, name=name)
    again = group(collect([tmp_path]))
    for digits, marks in ((3, ["best", "best", "second"]), (4, ["second", "best", ""])):
        rows = build(again, [], digits=digits).rows
        assert [row.cells["max_f"].mark for row in rows] == marks


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [("mae", -0.0001, "+0.000"), ("mae", 0.0126, "+0.013"), ("hce", -12.34, "-12.3")],
)
def test_differences_have_a_sign(metric: str, value: float, shown: str) -> None:
    assert show(metric, value, 3, signed=True) == shown


def test_notes_are_numbered_once(table: Table) -> None:
    assert len(set(table.notes)) == len(table.notes)
    assert "contaminated: it was trained on SOD" in table.notes
    assert "max_f: a doubt" in table.notes
    unfair = next(row for row in table.rows if row.method == "unfair")
    assert "contaminated: it was trained on SOD" in [table.notes[n - 1] for n in unfair.notes]


def test_columns_can_be_chosen(groups: list[Group]) -> None:
    assert build(groups, [], ["mae"]).metrics == ["mae"]


def test_writing_twice_gives_the_same_bytes(
    tmp_path: Path, groups: list[Group], paper: list[ReportedResult]
) -> None:
    keep_pictures(tmp_path / "u0", "SOD", 0, [0.1, 0.2])
    keep_curves(tmp_path / "u0")
    for name in ("one", "two"):
        again = group(collect([tmp_path]))
        write(build(again, paper), again, tmp_path / "out" / name, "title", 3)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / "out" / name).iterdir()}
        for name in ("one", "two")
    )
    assert first == second
    assert first.keys() == {"table.md", "table.tex", "table.csv", "table.html", "curves_SOD.png"}
    assert read_json(tmp_path / "u0" / "results.json", "")["SOD"]["mae"] == 0.10
