"""One table in Markdown, LaTeX and CSV: the same numbers, each as its readers need them."""

import csv
import io

import pytest

from src.reporting.formats import (
    comma_separated,
    html,
    latex,
    markdown,
    number,
    origin_lines,
    seeds,
)
from src.reporting.table import DIFFERENCE, PUBLISHED, Cell, Origin, Row, Table

RUN, BEST, SECOND = "run", "best", "second"

ORIGIN = Origin(("A", "B"), "abc", "c0ffee", {0: "aaa", 1: "bbb"})


def row(method: str = "mine", kind: str = RUN, **values: object) -> Row:
    given = {"test_set": "SOD", "images": 300, "seeds": (0, 1), "cells": {}, **values}
    return Row(method=method, kind=kind, **given)  # type: ignore[arg-type]


def one(
    *rows: Row, metrics: tuple[str, ...] = ("max_f", "hce"), notes: tuple[str, ...] = ()
) -> Table:
    return Table(list(metrics), list(rows), list(notes), {"max_f": "256 thresholds"})


def lines(text: str) -> list[list[str]]:
    return [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_markdown(table: Table) -> None:
    found = markdown(table, 3).splitlines()
    assert found[0] == "| data | images | method | seeds | weights | max_f_dis | mae |"
    assert "<u>0.860 ± 0.014</u> | **0.100 ± 0.000** |" in found[3]
    assert "**0.861** | – |" in found[4]
    assert "-0.001 | – |" in found[5]
    assert len({line.count("|") for line in found if line.startswith("|")}) == 1


def test_latex(table: Table) -> None:
    text = latex(table, 3)
    assert r"\underline{0.860 $\pm$ 0.014}" in text
    assert r"u2net/u2net $-$ published" in text
    assert r"max\_f\_dis" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in body} == {5}
    assert text.isascii()


def test_csv_keeps_every_digit(table: Table) -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(table))))
    ours = next(r for r in rows if r["method"] == "u2net/u2net" and r["metric"] == "max_f_dis")
    assert float(ours["value"]) == pytest.approx(0.86, abs=1e-15)
    assert ours["seeds"] == "0 1"
    assert float(ours["std"]) == pytest.approx(0.0141421356, abs=1e-10)


@pytest.mark.parametrize(
    ("metric", "cell", "kind", "text"),
    [
        ("max_f", Cell(0.79149), RUN, "0.791"),
        ("max_f", Cell(0.7, 0.0149), RUN, "0.700 ± 0.015"),
        ("hce", Cell(1016.04, 3.14), RUN, "1016.0 ± 3.1"),
        ("max_f", Cell(0.01), DIFFERENCE, "+0.010"),
        ("max_f", Cell(0.01), PUBLISHED, "0.010"),
        ("max_f", Cell(float("nan")), RUN, "nan"),
    ],
)
def test_a_number_with_its_deviation_or_its_sign(
    metric: str, cell: Cell, kind: str, text: str
) -> None:
    assert number(metric, cell, row(kind=kind), 3) == text


def test_seeds_are_counted_where_something_was_trained() -> None:
    assert [seeds(row(seeds=given)) for given in ((), (7,), (0, 1, 2))] == ["", "1", "3"]


def test_each_method_says_once_where_it_comes_from() -> None:
    table = one(row(origin=ORIGIN), row(test_set="ECSSD", origin=ORIGIN), row("paper", PUBLISHED))
    assert origin_lines(table) == [f"mine: {ORIGIN}"]
    assert f"- mine: {ORIGIN}\n" in markdown(table, 3)
    assert f"% mine: {ORIGIN}\n" in latex(table, 3)


def test_markdown_marks_notes_and_empty_cells() -> None:
    cells = {"max_f": Cell(0.9, mark=BEST), "hce": Cell(10.0, mark=SECOND)}
    table = one(
        row(cells=cells, notes=(1, 2)),
        row("a|b", cells={"hce": Cell(12.0)}, images=None, seeds=()),
        notes=("contaminated", "dirty"),
    )
    text = markdown(table, 2)
    _, _, first, second = lines(text)
    assert first == ["SOD", "300", "mine [1] [2]", "2", "", "**0.90**", "<u>10.0</u>"]
    assert second == ["SOD", "", r"a\|b", "", "", "–", "12.0"]
    assert "[1] contaminated  \n[2] dirty  \n" in text
    assert "- max_f: 256 thresholds\n" in text


def test_markdown_leaves_out_what_is_not_there() -> None:
    text = markdown(Table(["mae"], [row(cells={"mae": Cell(0.1)})], [], {}), 3)
    assert text.endswith("over seeds\n")
    assert "\n\n\n" not in text


def test_latex_names_a_set_once_and_rules_sets_off() -> None:
    cells = {"max_f": Cell(0.9)}
    table = one(row(cells=cells), row("other", cells=cells), row(test_set="A&B", cells=cells))
    body = latex(table, 2).splitlines()
    assert body[:3] == [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{lrlrrr}",
        r"\toprule",
    ]
    assert body.count(r"\midrule") == 2
    starts = [line.split(" & ")[0] for line in body if line.endswith(r"\\")]
    assert starts == ["data", "SOD", "", r"A\&B"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("50% of #1_$", r"50\% of \#1\_\$"),
        (r"{a}\~^", r"\{a\}\textbackslash{}\textasciitilde{}\textasciicircum{}"),
        ("F, β² ≥ 0·3 × … – ≤", r"F, $\beta$$^2$ $\geq$ 0$\cdot$3 $\times$ \dots{} -- $\leq$"),
    ],
)
def test_latex_prints_names_as_they_are(name: str, written: str) -> None:
    text = latex(one(row(name, notes=(1,), cells={"max_f": Cell(0.9)}), notes=("x",)), 2)
    assert f"{written}$^{{1}}$ & 2 & 0.90 & --" in text


def test_csv_says_notes_marks_and_origin() -> None:
    cells = {"max_f": Cell(1 / 3, 0.5, BEST), "hce": Cell(7.0)}
    table = one(
        row(cells=cells, notes=(2, 1), origin=ORIGIN),
        row("paper", PUBLISHED, cells={"hce": Cell(8.0)}, images=None, seeds=()),
        notes=("a, b", "c"),
    )
    first, second, third = csv.DictReader(io.StringIO(comma_separated(table)))
    assert first == {
        **{"data": "SOD", "images": "300", "method": "mine", "seeds": "0 1", "kind": "run"},
        **{"metric": "max_f", "value": repr(1 / 3), "std": "0.5", "mark": "best"},
        **{"notes": "c | a, b", "trained_on": "A+B", "commit": "abc", "config": "c0ffee"},
        "weights": "aaa bbb",
    }
    assert (second["metric"], second["std"], second["mark"]) == ("hce", "", "")
    assert (third["images"], third["seeds"], third["kind"]) == ("", "", "published")
    assert (third["trained_on"], third["commit"], third["weights"]) == ("", "", "")


# Sets beside each other.


def wide_table() -> Table:
    return one(
        row(cells={"max_f": Cell(0.9, 0.01, BEST), "hce": Cell(12.3)}, expected=300),
        row("theirs", images=298, expected=300, cells={"max_f": Cell(0.8)}, notes=(1,)),
        row(test_set="ECSSD", images=1000, expected=1000, cells={"max_f": Cell(0.95)}),
        row("printed", PUBLISHED, images=None, seeds=(), cells={"max_f": Cell(0.91)}),
        notes=("contaminated: trained on SOD",),
    )


def test_wide_a_method_is_a_row_and_a_set_a_group_of_columns() -> None:
    text = markdown(wide_table(), 3, "wide")
    head, _, mine, theirs, printed = lines(text)
    numbers = ["SOD max_f ↑", "SOD hce ↓", "ECSSD max_f ↑"]  # nobody has hce on ECSSD
    assert head == ["method", "seeds", "weights", *numbers]
    assert mine[3:] == ["**0.900 ± 0.010**", "12.3", "0.950"]
    assert theirs[3:] == ["0.800 (298 of 300) [1]", "–", "–"]
    assert printed[0] == "printed"
    assert "[1] contaminated: trained on SOD" in text


def test_wide_sets_stand_above_their_columns() -> None:
    text = latex(wide_table(), 3, "wide")
    assert r"& \multicolumn{2}{c}{SOD (300)} & \multicolumn{1}{c}{ECSSD (1000)} \\" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in body[1:]} == {4}
    page = html(wide_table(), [], {}, "t", 3, layout="wide")
    assert '<td colspan="2">SOD (300)</td><td colspan="1">ECSSD (1000)</td>' in page
