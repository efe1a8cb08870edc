"""Printed rows are read digit for digit, and a bad one is named by its line."""

import csv
from pathlib import Path

import pytest

from src.errors import UserError
from src.reporting.reported_results import COLUMNS, ReportedResult, load, of

GOOD = {
    "experiment": "a/b",
    "trained_on": "X+Y",
    "set": "SOD",
    "metric": "maxF",
    "printed": "86.10",
    "scale": "0.01",
    "compares_with": "max_f_dis",
    "tolerance": "0.01",
    "source": "Table 4, p. 7",
    "note": "",
}


def write(root: Path, *rows: dict[str, str], paper: str = "paper") -> Path:
    """`published.csv` of a paper; rows are `GOOD` with changes."""
    path = root / paper / "published.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({**GOOD, **row} for row in rows)
    return path


def test_a_row_keeps_its_digits_and_has_a_value_on_our_scale(tmp_path: Path) -> None:
    write(tmp_path, {})
    assert load(tmp_path) == [
        ReportedResult(
            experiment="a/b",
            trained_on=("X", "Y"),
            test_set="SOD",
            metric="maxF",
            printed="86.10",
            value=0.861,
            compares_with="max_f_dis",
            tolerance=0.01,
            source="Table 4, p. 7",
            note="",
        )
    ]


def test_what_is_left_empty_is_none(tmp_path: Path) -> None:
    write(tmp_path, {"trained_on": "", "compares_with": "", "tolerance": ""})
    (row,) = load(tmp_path)
    assert (row.trained_on, row.compares_with, row.tolerance) == ((), None, None)


def test_papers_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, {"set": "2"}, {"set": "1"}, paper="b")
    write(tmp_path, {"set": "3"}, paper="a")
    (tmp_path / "c").mkdir()
    assert [row.test_set for row in load(tmp_path)] == ["3", "2", "1"]


def test_only_comparable_rows_of_the_recipe_itself_stand_beside_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"set": "1"},
        {"set": "2", "compares_with": "", "tolerance": ""},
        {"set": "3", "experiment": "a/bc"},
    )
    assert [row.test_set for row in of("a/b", load(tmp_path))] == ["1"]
    assert of("a", load(tmp_path)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"printed": ".9x"}, r"published\.csv:3: .*'\.9x'"),
        ({"printed": ""}, r"published\.csv:3: could not convert"),
        ({"scale": "%"}, r"published\.csv:3: .*'%'"),
        ({"tolerance": "narrow"}, r"published\.csv:3: .*'narrow'"),
        ({"tolerance": ""}, "3: give both compares_with and tolerance, or neither"),
        ({"compares_with": ""}, "3: give both compares_with and tolerance, or neither"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    write(tmp_path, {}, changes)
    with pytest.raises(UserError, match=message):
        load(tmp_path)


def test_an_exact_number_may_be_asked_for(tmp_path: Path) -> None:
    write(tmp_path, {"tolerance": "0"})
    assert load(tmp_path)[0].tolerance == 0


def test_a_comma_too_many_is_not_lost(tmp_path: Path) -> None:
    """A note with a comma has to be quoted; what follows would be left out unseen."""
    path = write(tmp_path, {})
    path.write_text(path.read_text().rstrip() + "first, second\n")
    with pytest.raises(UserError, match=r"published\.csv:2: 11 cells for 10 columns"):
        load(tmp_path)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    for text in ("a,b\n1,2\n", "", path.read_text().replace("printed,scale", "scale,printed")):
        path.write_text(text)
        with pytest.raises(UserError, match=r"published\.csv: its columns must be experiment,"):
            load(tmp_path)


def test_u2nets_max_f_is_never_compared_with_pysods() -> None:
    for experiment in ("u2net/u2net", "u2net/u2netp"):
        metrics = {row.compares_with for row in load() if row.experiment == experiment}
        assert "max_f_dis" in metrics
        assert "max_f" not in metrics
