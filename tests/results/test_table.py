"""The table of a test: methods on data sets, a column for each metric of any row."""

import math

from src.results.table import markdown


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_a_table_has_a_column_for_every_measure_of_any_row() -> None:
    given = [("ours", "SOD", 300, {"mae": 0.05, "max_f": 0.9}), ("box", "SOD", 300, {"iou": 0.5})]
    head, rule, *body = rows(markdown(given))
    assert head == ["method", "data", "N", "mae", "max_f", "iou"]
    assert rule == ["---"] * 3 + ["---:"] * 3
    assert body == [
        ["ours", "SOD", "300", "0.0500", "0.9000", "–"],
        ["box", "SOD", "300", "–", "–", "0.5000"],
    ]


def test_digits_and_a_note_under_the_table() -> None:
    given = [("ours", "SOD", 2, {"mae": 0.056})]
    assert rows(markdown(given, digits=2))[-1][-1] == "0.06"
    assert markdown(given, note="- mae: a protocol").endswith("|\n\n- mae: a protocol\n")
    assert markdown(given).endswith("0.0560 |\n")


def test_a_metric_that_is_undefined_on_a_set_is_not_a_number() -> None:
    assert rows(markdown([("ours", "SOD", 2, {"mba": math.nan})]))[-1][-1] == "n/a"
