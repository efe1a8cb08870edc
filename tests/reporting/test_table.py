"""The table's rows, its marks and its notes."""

import zipfile
from pathlib import Path

import pytest

from src.plain_data import read_json
from src.reporting.groups import Group, group
from src.reporting.reported_results import ReportedResult
from src.reporting.runs import collect
from src.reporting.table import DIFFERENCE, PUBLISHED, Table, build, show
from src.reporting.write_and_verify import write
from tests.reporting.run_folders import keep_curves, keep_pictures, write_run, write_scores

RUN = "run"


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


def test_places_leave_unfair_rows_out(table: Table) -> None:
    marks = {row.method: row.cells["max_f_dis"].mark for row in table.rows}
    assert marks["u2net/u2net published"] == "best"
    assert marks["u2net/u2net"] == "second"
    assert marks["mine"] == "third"
    assert marks["unfair"] == ""
    mae = {row.method: row.cells["mae"].mark for row in table.rows if "mae" in row.cells}
    assert mae == {"u2net/u2net": "best", "mine": "second", "unfair": ""}


def test_what_looks_equal_shares_a_mark(tmp_path: Path) -> None:
    for name, value in (("a", 0.7601), ("b", 0.7604), ("c", 0.70)):
        write_run(tmp_path / name, {"SOD": {"max_f": value}}, name=name)
    again = group(collect([tmp_path]))
    for digits, marks in ((3, ["best", "best", "second"]), (4, ["second", "best", "third"])):
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


def test_runs_checkpoints_and_maps_share_a_table(tmp_path: Path) -> None:
    scores = {"SOD": {"mae": 0.1}}
    tested = {"fit": False, "weights": "weights/own.pth"}
    digest = {"weights": "0123456789abcdef"}
    write_run(tmp_path / "a", scores, name="trained", expected=None, checkpoint=digest)
    write_run(tmp_path / "b", scores, name="tested", config=tested, expected=None)
    write_scores(tmp_path / "c", {"SOD": {"mae": 0.05}}, method="Amulet")
    write_scores(
        tmp_path / "d", {"SOD": {"mae": 0.01}}, method="PiCANet", partial={"SOD": "2 of 5"}
    )
    found = group(collect([tmp_path]))
    table = build(found, [])
    write(table, found, tmp_path / "out", "title", 3)
    lines = (tmp_path / "out" / "table.md").read_text().splitlines()
    assert lines[2:6] == [
        "| SOD | 2 | Amulet |  | maps | **0.050** |",
        "| SOD | 2 of 5 | PiCANet [1] |  | maps | 0.010 |",
        "| SOD | 2 | tested (weights own.pth) [2] |  | unknown | <u>0.100</u> |",
        "| SOD | 2 | trained | 1 | 0123456789ab | <u>0.100</u> |",
    ]
    assert "[1] missing images: 2 of 5" in "\n".join(lines)
    assert "- Amulet: maps; scored by commit " in "\n".join(lines)
    assert {row.kind for row in table.rows} == {"run", "checkpoint", "maps"}


def test_an_excel_table_has_numbers_as_numbers_and_is_the_same_each_time(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {"SOD": {"mae": 1 / 3}}, name="=1+1")
    found = group(collect([tmp_path]))
    for name in ("one", "two"):
        write(build(found, []), found, tmp_path / name, "title", 3, formats=["xlsx"])
    first, second = ((tmp_path / name / "table.xlsx").read_bytes() for name in ("one", "two"))
    assert first == second
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["table.xlsx"]
    with zipfile.ZipFile(tmp_path / "one" / "table.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode()
        assert "2000-01-01" in book.read("docProps/core.xml").decode()
    assert "<v>0.333333333333333</v>" in sheet.replace("0.3333333333333333", "0.333333333333333")
    assert "<f>" not in sheet
    assert "=1+1" in texts
