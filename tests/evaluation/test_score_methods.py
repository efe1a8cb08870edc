"""Several methods on several sets: all checked, scored together, put into one table."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import CommandError, UserError
from src.evaluation import scoring
from src.evaluation.maps import evaluate_maps, score_folder
from src.results.folder import read_results_folder

METRICS = ["mae", "max_f", "mba"]
COUNT = 6


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """`gt/{A,B}` and `maps/{good,noisy,bad}/{A,B}`; noisy is as good as good, within noise."""
    rng = np.random.default_rng(0)
    for name in ("A", "B"):
        for i in range(COUNT):
            mask = np.zeros((40, 50), np.uint8)
            cv2.circle(mask, (20 + i, 18), 9, 255, -1)
            write_image(tmp_path / f"gt/{name}/masks/{i}.png", mask)
            for method, noise in (("good", 20), ("noisy", 21), ("bad", 120)):
                level = noise + rng.integers(-8, 9)
                noised = np.abs(mask.astype(int) - rng.integers(0, level, mask.shape))
                write_image(tmp_path / f"maps/{method}/{name}/{i}.png", noised.astype(np.uint8))
    return tmp_path


def evaluate(lab: Path, **options: object) -> int:
    given = {"maps": lab / "maps", "target": lab / "gt", "output": lab / "out"} | options
    return evaluate_maps(metrics=METRICS, workers=1, **given)  # type: ignore[arg-type]


def test_one_table_has_the_numbers_of_each_method_alone(lab: Path) -> None:
    assert evaluate(lab, emphasize="good") == 0
    out = lab / "out"
    for method in ("good", "noisy", "bad"):
        alone = score_folder(lab / "maps" / method, lab / "gt", metrics=METRICS, workers=1)
        assert json.loads((out / method / "results.json").read_text()) == alone
    head, _, *rows = (out / "table.md").read_text().splitlines()[:5]
    assert head.startswith("| method | A mae ↓ | A max_f ↑ | A mba ↑ | B mae ↓ |")
    assert [row.split(" | ")[0] for row in rows] == ["| bad", "| good", "| noisy"]
    names = {path.name for path in out.iterdir()}
    assert {"table.tex", "table.csv", "table.html", "curves_A.png", "curves_B.svg"} <= names
    latex = (out / "table.tex").read_text()
    assert r"\multicolumn{3}{c}{A (6)} & \multicolumn{3}{c}{B (6)}" in latex


def test_differences_beyond_noise_are_told_from_those_within(lab: Path) -> None:
    evaluate(lab)
    with (lab / "out/table.csv").open(newline="") as file:
        rows = {(r["method"], r["data"], r["metric"]): r for r in csv.DictReader(file)}
    (best,) = [m for m in ("good", "noisy") if rows[m, "A", "mae"]["from_best"] == ""]
    second = "noisy" if best == "good" else "good"
    assert float(rows["bad", "A", "mae"]["low"]) > 0
    ends = (float(rows[second, "A", "mae"][end]) for end in ("low", "high"))
    low, high = ends
    text = (lab / "out/table.md").read_text().splitlines()
    cells = {line.split(" | ")[0][2:]: line.split(" | ")[1] for line in text[2:5]}
    assert ("≈" in cells[second]) == (low <= 0 <= high)
    assert "≈" not in cells["bad"]


def test_the_same_command_goes_on_and_another_metric_costs_what_it_must(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(lab)
    before = (lab / "out/table.md").read_bytes()
    monkeypatch.setattr(scoring, "score_files", lambda *_, **__: pytest.fail("it was scored"))
    capsys.readouterr()
    evaluate(lab)
    assert "36 of 36 images were scored before" in capsys.readouterr().out
    assert (lab / "out/table.md").read_bytes() == before
    more = [*METRICS, "mean_dice"]
    given = (lab / "maps", lab / "gt", lab / "out")
    assert evaluate_maps(*given, metrics=more, workers=1) == 0
    assert "A mean_dice ↑" in (lab / "out/table.md").read_text()


def test_a_metric_that_needs_more_of_an_image_than_results_hold_is_in_the_table(lab: Path) -> None:
    given = (lab / "maps", lab / "gt", lab / "out")
    assert evaluate_maps(*given, metrics=["max_msiou"], workers=1) == 0
    alone = score_folder(lab / "maps/good", lab / "gt", metrics=["max_msiou"], workers=1)
    with (lab / "out/table.csv").open(newline="") as file:
        found = {(r["method"], r["data"]): float(r["value"]) for r in csv.DictReader(file)}
    assert found["good", "A"] == alone["A"]["max_msiou"]


def test_every_fault_of_every_method_is_listed_before_anything_is_scored(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "maps/bad/A/0.png").unlink()
    write_image(lab / "maps/good/B/1.png", np.zeros((8, 8), np.uint8))
    write_image(lab / "maps/noisy/C/1.png", np.zeros((8, 8), np.uint8))
    (lab / "maps/half/A").mkdir(parents=True)
    write_image(lab / "maps/half/A/0.png", np.zeros((40, 50), np.uint8))
    monkeypatch.setattr(scoring, "score_files", lambda *_, **__: pytest.fail("it was scored"))
    assert evaluate(lab) == 1
    said = capsys.readouterr().err
    for words in (
        "missing: bad/A: no map of",
        "is 8x8, its target 50x40",
        "noisy on C, of which there is no ground truth",
        "missing: half has no maps of B",
        "missing: half/A: no map of",
    ):
        assert words in said, words
    assert not (lab / "out").exists()


def test_what_is_missing_is_marked_and_not_ranked(lab: Path) -> None:
    (lab / "maps/good/A/0.png").unlink()
    for path in (lab / "maps/noisy/B").iterdir():
        path.unlink()
    assert evaluate(lab, allow_missing=True) == 0
    text = (lab / "out/table.md").read_text()
    good, noisy = (
        next(line for line in text.splitlines() if line.startswith(f"| {name} "))
        for name in ("good", "noisy")
    )
    assert "(5 of 6)" in good.split(" | ")[1]
    assert "**" not in good.split(" | ")[1]
    assert noisy.split(" | ")[4:] == ["–", "–", "– |"]
    assert "INCOMPLETE: good on A, 5 of 6 images; not ranked" in text


def test_ground_truth_that_poses_as_a_method_is_warned_of(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "maps/copied").mkdir()
    for name in ("A", "B"):
        (lab / "maps/copied" / name).symlink_to(lab / "gt" / name / "masks")
    evaluate(lab)
    assert "warning: copied/A: the maps are the ground truth itself" in capsys.readouterr().err


def test_a_file_may_name_everything(lab: Path) -> None:
    file = lab / "methods.yaml"
    file.write_text("{sets: {A: gt/A/masks}, methods: {Ours: maps/good/A, Theirs: maps/bad/A}}")
    assert evaluate_maps(file, None, None, metrics=["mae"], workers=1) == 0
    head, _, ours, theirs = (lab / "methods_scores/table.md").read_text().splitlines()[:4]
    assert head == "| method | A mae ↓ |"
    assert ours.startswith("| Ours | **")
    assert theirs.startswith("| Theirs | <u>")
    with pytest.raises(CommandError, match="names the ground truth"):
        evaluate_maps(file, lab / "gt", None, metrics=["mae"])


def test_mistakes_are_said_before_anything_is_read(lab: Path) -> None:
    with pytest.raises(UserError, match="emphasize=ours: no such method; there are bad, good"):
        evaluate(lab, emphasize="ours")
    with pytest.raises(CommandError, match="compare= is for the maps of one method"):
        evaluate(lab, compare=lab)
    with pytest.raises(CommandError, match="holds the maps of one method"):
        evaluate(lab, maps=lab / "maps/good", emphasize="good")
    (lab / "maps/GOOD").symlink_to(lab / "maps/good")
    with pytest.raises(UserError, match="would write to one folder"):
        evaluate(lab)


def test_sets_and_methods_stand_in_the_order_of_the_file(lab: Path) -> None:
    file = lab / "methods.yaml"
    file.write_text(
        "{sets: {B: gt/B/masks, A: gt/A/masks},"
        " methods: {noisy: {maps: {A: maps/noisy/A}}, good: 'maps/good/{set}'}}"
    )
    assert evaluate_maps(file, None, None, ["mae"], allow_missing=True, workers=1) == 0
    head, _, *rows = (lab / "methods_scores/table.md").read_text().splitlines()[:4]
    assert head == "| method | B mae ↓ | A mae ↓ |"
    assert [row.split(" | ")[0] for row in rows] == ["| noisy", "| good"]
    assert list(json.loads((lab / "methods_scores/good/results.json").read_text())) == ["B", "A"]


def test_a_file_found_unreadable_while_scoring_is_listed_with_its_method(lab: Path) -> None:
    spoiled = lab / "maps/good/A/0.png"
    spoiled.write_bytes(spoiled.read_bytes()[:60])
    assert evaluate(lab, allow_missing=True) == 0
    (line,) = read_results_folder(lab / "out/good").provenance.left_out
    assert line.startswith(f"unreadable: {spoiled}: damaged")
    assert read_results_folder(lab / "out/bad").provenance.left_out == []


def test_each_method_has_a_gallery_of_its_worst(lab: Path) -> None:
    assert evaluate(lab, worst=2) == 0
    for method in ("good", "noisy", "bad"):
        drawn = cv2.imread(str(lab / "out" / method / "worst.png"))
        assert drawn is not None
        assert drawn.shape[0] == 2 * (22 + 256 + 6)
