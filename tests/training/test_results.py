"""The files of a test: whole, and with every digit but in the table."""

import csv
import json
import math
from pathlib import Path

import pytest
from src.training.results import markdown, write_per_image, write_results


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_results_keep_every_digit(tmp_path: Path) -> None:
    tables = {"SOD": {"mae": 1 / 3, "hce": 1016.0}, "ECSSD": {"mae": math.nan}}
    write_results(tmp_path, tables)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["SOD"] == tables["SOD"]
    assert found["ECSSD"]["mae"] is None
    assert (tmp_path / "results.json").read_text().endswith("}\n")


def test_an_image_is_a_line_and_names_are_quoted_where_needed(tmp_path: Path) -> None:
    names = ["a, b", 'c "d"', "e\nf", "über"]
    lines = [{"set": "SOD", "name": name, "mae": i / 3} for i, name in enumerate(names)]
    write_per_image(tmp_path, lines)
    with (tmp_path / "per_image.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [row["name"] for row in found] == names
    assert [float(row["mae"]) for row in found] == [line["mae"] for line in lines]


def test_no_image_leaves_the_head(tmp_path: Path) -> None:
    write_per_image(tmp_path, [])
    assert (tmp_path / "per_image.csv").read_text().strip() == "set,name"


def test_rows_of_other_columns_are_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    write_per_image(tmp_path, [{"set": "A", "name": "a"}])
    before = (tmp_path / "per_image.csv").read_bytes()
    with pytest.raises(ValueError, match="mae"):
        write_per_image(tmp_path, [{"set": "A", "name": "a"}, {"set": "A", "name": "b", "mae": 1}])
    assert (tmp_path / "per_image.csv").read_bytes() == before


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
