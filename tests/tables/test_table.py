"""The table's rows, its marks, and how every format shows them."""

import csv
import io
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.tables.curves import plot
from src.tables.door import write
from src.tables.formats import comma_separated, latex, markdown
from src.tables.groups import Group, group
from src.tables.page import html
from src.tables.published import Published
from src.tables.runs import collect, read_json
from src.tables.table import DIFFERENCE, PUBLISHED, RUN, Table, build, show
from src.tables.thumbnails import best_and_worst
from tests.tables.run_folders import write_run


def printed(metric: str, value: float, compares_with: str | None) -> Published:
    text, tolerance = f"{value:.3f}", 0.01 if compares_with else None
    return Published(
        "u2net/u2net",
        (),
        "SOD",
        metric,
        text,
        value,
        compares_with,
        tolerance,
        "Table 4",
        "a doubt",
    )


PRINTED = [printed("max_f", 0.861, "max_f_dis"), printed("relax_fb", 0.613, None)]


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    for seed, value in enumerate((0.85, 0.87)):
        scores = {"SOD": {"max_f_dis": value, "mae": 0.10}}
        write_run(tmp_path / f"u{seed}", scores, name="u2net/u2net", seed=seed)
    scores = {"SOD": {"max_f_dis": 0.80, "mae": 0.12}}
    write_run(tmp_path / "other", scores, name="mine", model="u2netp")
    unfair = {"SOD": {"max_f_dis": 0.99, "mae": 0.01}}
    write_run(tmp_path / "unfair", unfair, name="unfair", train=["SOD"], seed=0)
    return group(collect([tmp_path]))


@pytest.fixture
def table(groups: list[Group]) -> Table:
    return build(groups, PRINTED)


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


def test_markdown(table: Table) -> None:
    lines = markdown(table, 3).splitlines()
    assert lines[0] == "| data | images | method | seeds | max_f_dis | mae |"
    assert "_0.860 ± 0.014_ | **0.100 ± 0.000** |" in lines[3]
    assert "**0.861** | – |" in lines[4]
    assert "-0.001 | – |" in lines[5]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


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


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_whole_in_itself(table: Table, groups: list[Group]) -> None:
    page = _Page()
    page.feed(html(table, groups, {"SOD": b"png"}, "a <title>", 3))
    assert page.open == []
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert "href" not in attributes
    assert sum(tag == "tr" for tag, _ in page.tags) == 1 + len(table.rows)
    assert ("td", {"class": "best", "data-value": "0.861"}) in page.tags


def keep_pictures(folder: Path, test_set: str, process: int, errors: Sequence[float]) -> None:
    """As `Extremes` leaves them: a file for each image and one about them."""
    pictures = folder / "extremes" / test_set
    pictures.mkdir(parents=True, exist_ok=True)
    entries = []
    for rank, error in enumerate(errors):
        file = f"{process}_{rank}.jpg"
        (pictures / file).write_bytes(f"picture of {error}".encode())
        entries.append({"name": f"image_{error}", "error": error, "file": file})
    (pictures / f"{process}.json").write_text(json.dumps(entries))


def test_the_best_and_the_worst_of_all_processes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", {"SOD": {"mae": 0.10}}, name="a")
    keep_pictures(folder, "SOD", 0, [0.01, 0.3])
    keep_pictures(folder, "SOD", 1, [0.02, 0.9])
    (only,) = group(collect([tmp_path]))
    best, worst = best_and_worst(only.runs[0], "SOD")
    assert [t.name for t in best] == ["image_0.01", "image_0.02"]
    assert [t.name for t in worst] == ["image_0.9", "image_0.3"]
    assert best[0].jpeg == b"picture of 0.01"
    assert "image_0.9, error 0.900" in html(build([only], []), [only], {}, "x", 3)


def test_no_pictures_are_no_mistake_and_damaged_ones_are(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", {"SOD": {"mae": 0.1}})
    (run,) = collect([tmp_path])
    assert best_and_worst(run, "SOD") == ([], [])
    keep_pictures(folder, "SOD", 0, [0.1])
    (folder / "extremes" / "SOD" / "0.json").write_text("[{}]")
    with pytest.raises(UserError, match=r"0\.json is damaged"):
        best_and_worst(run, "SOD")


def curves(folder: Path) -> None:
    steps = np.linspace(0, 1, 256)
    curve = {"precision": steps.tolist(), "recall": (1 - steps).tolist(), "f": steps.tolist()}
    (folder / "curves.json").write_text(json.dumps({"SOD": curve}))


def test_curves_are_drawn_where_runs_wrote_them(tmp_path: Path, groups: list[Group]) -> None:
    assert plot(groups, "SOD") is None
    curves(tmp_path / "u0")
    first = plot(groups, "SOD")
    assert first is not None
    assert first.startswith(b"\x89PNG")
    assert first == plot(groups, "SOD")


def test_writing_twice_gives_the_same_bytes(tmp_path: Path, groups: list[Group]) -> None:
    keep_pictures(tmp_path / "u0", "SOD", 0, [0.1, 0.2])
    curves(tmp_path / "u0")
    for name in ("one", "two"):
        again = group(collect([tmp_path]))
        write(build(again, PRINTED), again, tmp_path / "out" / name, "title", 3)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / "out" / name).iterdir()}
        for name in ("one", "two")
    )
    assert first == second
    assert first.keys() == {"table.md", "table.tex", "table.csv", "table.html", "curves_SOD.png"}
    assert read_json(tmp_path / "u0" / "results.json")["SOD"]["mae"] == 0.10
