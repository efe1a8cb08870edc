"""`tables.py` from its command line: tables, verification, mistakes."""

import csv
import re
from pathlib import Path

import pytest

from src import cli
from src.errors import UserError
from src.metrics import score_histograms, summarize
from src.reporting.cli import main
from src.reporting.reported_results import load, of
from src.results.folder import read_results_folder
from tests.reporting.run_folders import write_run
from tests.running import run

ROOT = Path(__file__).parents[2]


def printed_results(experiment: str, shift: float = 0.0) -> dict[str, dict[str, float]]:
    """The results of a run that met every printed number, and missed it by `shift`."""
    results: dict[str, dict[str, float]] = {}
    for row in of(experiment, load()):
        if "(" not in row.test_set:  # means over sets follow from the sets
            results.setdefault(row.test_set, {})[str(row.compares_with)] = row.value + shift
    return results


def write_matching(root: Path, shift: float = 0.0, **arguments: object) -> None:
    write_run(root / "a", printed_results("isnet/dis5k", shift), **arguments)  # type: ignore[arg-type]


def verify(root: Path, experiment: str = "isnet/dis5k") -> int:
    return main(["verify", f"experiment={experiment}", f"runs={root}"])


def test_verify_accepts_what_is_within_tolerance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_matching(tmp_path, shift=0.004)
    assert verify(tmp_path) == 0
    count = len(of("isnet/dis5k", load()))
    assert capsys.readouterr().out.splitlines()[-1] == f"{count} of {count} numbers agree"


def test_verify_refuses_what_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_matching(tmp_path, shift=0.008)  # too far for MAE alone
    assert verify(tmp_path) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert failed
    assert all(" mae: " in line for line in failed)


def test_verify_wants_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "a", {"DIS-TE1": {"max_f": 0.740}})
    assert verify(tmp_path) == 1
    out = capsys.readouterr().out
    assert "ok   isnet/dis5k DIS-TE1 max_f: 0.740 (1 seeds), published 0.740 ± 0.01" in out
    assert "DIS-TE2 max_f: not measured" in out


@pytest.mark.parametrize("changes", [{"train": ["DIS-TE1"]}, {"images": {"DIS-TE1": 1}}])
def test_verify_does_not_believe_unfit_runs(tmp_path: Path, changes: dict[str, object]) -> None:
    write_matching(tmp_path, **changes)
    assert verify(tmp_path) == 1


def test_the_mean_of_the_four_test_sets(tmp_path: Path) -> None:
    write_matching(tmp_path / "runs")
    words = ["experiment=isnet/dis5k", f"runs={tmp_path}/runs", f"output={tmp_path}/out"]
    assert main(words) == 0
    with (tmp_path / "out" / "isnet" / "dis5k" / "table.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["data"] == "DIS-TE(1-4)"]
    hce = {row["kind"]: float(row["value"]) for row in rows if row["metric"] == "hce"}
    assert hce == {"run": 1016.0, "published": 1016.0, "difference": 0.0}


def test_a_command_line(tmp_path: Path) -> None:
    """From another folder, as a process, twice: the same bytes."""
    write_matching(tmp_path / "logs")
    pages = []
    for _ in range(2):
        run("tables.py", ["experiment=isnet/dis5k"], tmp_path)
        folder = tmp_path / "tables" / "isnet" / "dis5k"
        pages.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert pages[0] == pages[1]


def test_one_column_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "logs" / "a", {"SOD": {"mae": 0.1, "max_f": 0.9}}, name="a")
    assert main(["metrics=mae"]) == 0
    head = (tmp_path / "tables" / "table.md").read_text().splitlines()[0]
    assert "mae" in head
    assert "max_f" not in head
    for words, message, code in (
        (["metrics=hce"], "no run has hce, nor do they follow from what is stored; they ", 1),
        (["layout=broad"], "layout=broad: give ", 2),
        (["metrics=[[7]]"], "metrics=[[7]]: give a name, or a list", 2),
        (["digits=x"], "digits=x: give a whole number", 2),
        (["means=7"], "means=7: give keys and their values", 2),
        (["runs=null"], "runs= is missing: folders", 2),
    ):
        with pytest.raises(UserError, match=re.escape(message)) as error:
            main(words)
        assert error.value.exit_code == code


def test_a_metric_that_follows_from_histograms_is_a_column_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_run(tmp_path / "logs" / "a", {"SOD": {"mae": 0.1}}, name="a")
    assert main(["metrics=[mae,whole_dice]", "layout=wide", "formats=md"]) == 0
    head, _, row = (tmp_path / "tables" / "table.md").read_text().splitlines()[:3]
    assert head == "| method | seeds | weights | SOD mae ↓ | SOD whole_dice ↑ |"
    images = score_histograms(["whole_dice"], list(read_results_folder(folder).histograms["SOD"]))
    value = summarize(images, ["whole_dice"])["whole_dice"]
    assert row.endswith(f"| 0.100 | {value:.3f} |")


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["nonsense"], "not key=value", 2),
        (["run=logs"], "the keys are runs, output", 2),
        (["runs=absent"], "no folder absent", 1),
        (["verify"], "needs a recipe", 2),
        (["verify", "experiment=isnet/absent"], "no printed number", 1),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["table", *words]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
