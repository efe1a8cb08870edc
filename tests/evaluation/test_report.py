"""Every format says the number, what it means and how many images it is of."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.evaluation.matching import MapPair, Problem
from src.evaluation.report import EvaluationReport
from src.metrics import ImageResult, describe, score_pair
from src.results.folder import read_results_folder

TRUTH = np.zeros((20, 30), np.uint8)
TRUTH[5:15, 5:20] = 255
EMPTY = TRUTH * 0


@pytest.fixture(autouse=True)
def ground_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the targets, of which only the size is looked at."""
    monkeypatch.chdir(tmp_path)
    for name in ("1", "2", "x"):
        Path(f"{name}-t.png").write_bytes(b"ground truth")


def pair(set_name: str, name: str) -> MapPair:
    return MapPair(set_name, name, Path(f"{name}.png"), Path(f"{name}-t.png"))


def report(*metrics: str, target: np.ndarray = TRUTH, **more: Any) -> EvaluationReport:
    """Two data sets; in B the map is the target."""
    metrics = metrics or ("mae", "max_f")
    wrong = np.where(TRUTH > 0, 200, 30).astype(np.uint8)
    wrong[5:8] = 90
    scores = {
        pair("B", "x"): score_pair(TRUTH, TRUTH, metrics),
        pair("A", "2"): score_pair(wrong, target, metrics),
        pair("A", "1"): score_pair(TRUTH, target, metrics),
    }
    return EvaluationReport("mine", metrics, scores, **more)


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_sets_and_images_are_in_order() -> None:
    made = report()
    assert list(made.by_set) == ["A", "B"]
    assert {name: one.names for name, one in made.results().items()} == {
        "A": ["1", "2"],
        "B": ["x"],
    }
    assert made.values["B"] == {"mae": 0, "max_f": pytest.approx(1)}


def test_markdown_has_a_line_for_each_set() -> None:
    head, _, first, second = rows(report().markdown())
    assert head == ["method", "data", "N", "mae", "max_f (mean of F curves)"]
    assert first[:3] == ["mine", "A", "2"]
    assert second == ["mine", "B", "1", "0.0000", "1.0000"]


def test_markdown_says_what_the_numbers_mean() -> None:
    text = report().markdown()
    for metric in ("mae", "max_f"):
        assert f"- {metric}: {describe(metric)}\n" in text
    assert "INCOMPLETE" not in text


def test_an_incomplete_set_is_marked_in_every_format() -> None:
    made = report(partial={"A": "2 of 5"})
    assert rows(made.markdown())[2][2] == "2 of 5 INCOMPLETE"
    assert "- **INCOMPLETE**: A, 2 of 5 images\n" in made.markdown()
    assert "% INCOMPLETE: A, 2 of 5" in made.latex()
    assert "2 of 5 INCOMPLETE" in made.latex()
    complete = [row["complete"] for row in csv.DictReader(io.StringIO(made.csv()))]
    assert complete == ["2 of 5", "2 of 5", "yes", "yes"]


def test_csv_has_every_digit_and_the_protocol() -> None:
    made = report()
    (row,) = (
        row
        for row in csv.DictReader(io.StringIO(made.csv()))
        if (row["data"], row["metric"]) == ("A", "mae")
    )
    assert float(row["value"]) == made.values["A"]["mae"]
    assert (row["method"], row["N"], row["protocol"]) == ("mine", "2", describe("mae"))


def test_latex_points_to_what_is_better() -> None:
    text = report("mae", "max_f_dis").latex()
    assert r"mae $\downarrow$ & max\_f\_dis (F of mean P, R) $\uparrow$ \\" in text
    assert r"\begin{tabular}{llrrr}" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") for line in body} == {4}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("R&D", r"R\&D"),
        ("50%_#1", r"50\%\_\#1"),
        ("{a}$^~\\", r"\{a\}\$\textasciicircum{}\textasciitilde{}\textbackslash{}"),
    ],
)
def test_latex_prints_names_as_they_are(name: str, written: str) -> None:
    scores = {pair(name, "x"): score_pair(TRUTH, TRUTH, ["mae"])}
    text = EvaluationReport(name, ["mae"], scores).latex()
    assert f"{written} & {written} & 1 & 0.0000" in text


def test_an_undefined_number_is_said_and_is_null_in_json(tmp_path: Path) -> None:
    made = report("mba", target=EMPTY)
    assert rows(made.markdown())[2][3] == "n/a"
    assert "- A: mba is undefined on 2 images, which are left out of it\n" in made.markdown()
    assert "- A: 2 x empty target\n" in made.markdown()
    made.write(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["A"] == {"mba": None}
    assert "nan" in (tmp_path / "results.csv").read_text()


def test_notices_are_counted() -> None:
    notices = {pair("A", "1"): ["soft", "resized"], pair("B", "x"): ["soft"]}
    made = report(notices=notices)
    assert made.notice_counts() == {"soft": 2, "resized": 1}
    assert "- 2 images: soft\n- 1 images: resized\n" in made.markdown()


def test_the_provenance_says_which_images_the_numbers_are_of(tmp_path: Path) -> None:
    notices = {pair("A", "1"): ["soft", "resized"], pair("B", "x"): ["soft"]}
    problems = [Problem("missing", "no map of a.png")]
    report(problems=problems, partial={"A": "2 of 3"}, notices=notices).write(tmp_path)
    found = read_results_folder(tmp_path)
    assert (found.kind, found.method) == ("maps", "mine")
    assert found.protocol == {metric: describe(metric) for metric in ("mae", "max_f")}
    said = found.provenance
    assert said.images == {"A": 2, "B": 1}
    assert said.left_out == ["missing: no map of a.png"]
    assert said.partial == {"A": "2 of 3"}
    assert said.notices == {"soft": 2, "resized": 1}
    assert said.degenerate["A"]["empty target"] == 0
    assert said.finecut
    assert (found.expected_images("A"), found.expected_images("B")) == (3, 1)


def test_the_same_ground_truth_has_the_same_hash(tmp_path: Path) -> None:
    def targets(name: str) -> str | None:
        report().write(tmp_path / name)
        part = read_results_folder(tmp_path / name).provenance.data["test/A"]
        assert part is not None
        return part.targets

    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    first = targets("a")
    assert targets("b") == first
    (tmp_path / "2-t.png").write_bytes(b"another ground truth")
    assert targets("c") != first


def test_all_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    made = report()
    (tmp_path / "out").mkdir()
    made.write(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "curves.json",
        "histograms.npz",
        "per_image.csv",
        "provenance.json",
        "results.csv",
        "results.json",
        "results.md",
        "results.tex",
    ]
    assert json.loads((tmp_path / "out/results.json").read_text()) == made.values
    with (tmp_path / "out/per_image.csv").open(newline="") as file:
        (second,) = (row for row in csv.DictReader(file) if row["name"] == "2")
    assert float(second["mae"]) == made.scores[pair("A", "2")].values["mae"]


def test_a_report_of_nothing_is_a_table_without_rows(tmp_path: Path) -> None:
    made = EvaluationReport("mine", ["mae"], {})
    made.write(tmp_path)
    assert len(rows(made.markdown())) == 2
    assert json.loads((tmp_path / "results.json").read_text()) == {}


def test_values_are_plain_numbers() -> None:
    """`repr` of a numpy number would not be a number in the CSV."""
    names = ["mae", "iou", "mapr_50", "mapr_vol", "hce"]
    scores: dict[MapPair, ImageResult] = {pair("A", "x"): score_pair(TRUTH, TRUTH, names)}
    assert {type(value) for value in EvaluationReport("m", names, scores).values["A"].values()} == {
        float
    }
