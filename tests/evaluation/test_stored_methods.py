"""A table of several methods is made from their stored results alone, or says why it cannot be."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import CommandError, UserError
from src.evaluation import method_table
from src.evaluation.maps import evaluate_maps
from src.evaluation.request import FAULTY_FILES, OK
from src.evaluation.stored_methods import tabulate_results

METRICS = ["mae", "max_f", "max_msiou", "mba"]
COUNT = 4


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves have tests of their own."""
    monkeypatch.setattr(method_table, "plot_methods", lambda *_: {})


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`out/{good,bad}`: two methods on two sets, scored and put into a table."""
    root = tmp_path_factory.mktemp("lab")
    rng = np.random.default_rng(0)
    for name in ("A", "B"):
        for i in range(COUNT):
            mask = np.zeros((40, 50), np.uint8)
            cv2.circle(mask, (20 + i, 18), 9, 255, -1)
            write_image(root / f"gt/{name}/{i}.png", mask)
            for method, noise in (("good", 20), ("bad", 120)):
                noised = np.abs(mask.astype(int) - rng.integers(0, noise, mask.shape))
                write_image(root / f"maps/{method}/{name}/{i}.png", noised.astype(np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method_table, "plot_methods", lambda *_: {})
        given = (root / "maps", root / "gt", root / "out")
        assert evaluate_maps(*given, metrics=METRICS, workers=1, worst=0) == OK
        assert evaluate_maps(*given[:2], root / "more", ["s_measure"], workers=1, worst=0) == OK
    return root


@pytest.fixture
def out(scored: Path, tmp_path: Path) -> Path:
    """A copy to spoil, without log and maps."""
    copy = shutil.copytree(scored / "out", tmp_path / "out")
    (copy / "journal.jsonl").unlink()
    return copy


def test_the_table_is_the_one_of_the_maps(out: Path) -> None:
    first = {path.name: path.read_bytes() for path in out.glob("table.*")}
    for path in out.glob("table.*"):
        path.unlink()
    assert tabulate_results([out], None, METRICS) == OK
    assert {path.name: path.read_bytes() for path in out.glob("table.*")} == first


def test_metrics_that_follow_are_added_without_a_map(scored: Path, out: Path) -> None:
    metrics = ["mae", "max_ber", "whole_dice", "mean_msiou"]
    assert tabulate_results([out], out / "more", metrics) == OK
    given = (scored / "maps", scored / "gt", out / "anew")
    assert evaluate_maps(*given, metrics=metrics, workers=1, worst=0) == OK
    for name in ("table.csv", "table.md"):
        assert (out / "more" / name).read_bytes() == (out / "anew" / name).read_bytes()


def test_what_is_not_to_be_had_is_one_list(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "bad/histograms.npz").unlink()  # as versions left it that stored none
    said = json.loads((out / "bad/provenance.json").read_text())
    del said["files"]["histograms.npz"]
    (out / "bad/provenance.json").write_text(json.dumps(said))
    assert tabulate_results([out], out / "t", ["hce", *METRICS]) == FAULTY_FILES
    told = capsys.readouterr().err
    assert "bad/histograms.npz: an older version of finecut wrote the folder" in told
    for name in ("A", "B"):
        assert f"missing: {out / 'good'}: hce on {name} is not stored and follows from" in told
    assert "3 faults" in told
    assert not (out / "t").exists()


def with_provenance(folder: Path, **changes: object) -> None:
    said = json.loads((folder / "provenance.json").read_text())
    for key, value in changes.items():
        said[key] = {**said[key], **value} if isinstance(value, dict) else value
    (folder / "provenance.json").write_text(json.dumps(said))


def test_numbers_of_another_version_or_ground_truth_are_refused(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_provenance(out / "bad", protocol={"mba": "mba/99: later", "max_f": "max_f/99: later"})
    # A metric that follows from the histograms is computed anew, whatever version is stored.
    assert tabulate_results([out], out / "t", ["max_f"]) == OK
    assert tabulate_results([out], out / "t", METRICS) == FAULTY_FILES
    told = capsys.readouterr().err
    assert "bad: mba on A was scored by mba/99, today's is mba/1" in told
    assert "bad: max_f" not in told
    with_provenance(out / "bad", data={"test/A": {"targets": "0" * 64}})
    # Not even allow_missing=true sets them beside each other.
    assert tabulate_results([out], out / "t", ["mae"], allow_missing=True) == FAULTY_FILES
    assert "differs: A: ground truth of" in capsys.readouterr().err


def test_results_of_one_method_may_lie_in_folders_and_miss_metrics(
    scored: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="output= is missing"):
        tabulate_results([out, scored / "more"], None, METRICS)
    given = [out / "good", scored / "more/bad"]
    assert tabulate_results(given, out / "t", ["s_measure", "mae", "mba"]) == FAULTY_FILES
    told = capsys.readouterr().err
    assert f"{out / 'good'}: s_measure on A is not stored" in told
    assert tabulate_results(given, out / "t", ["s_measure", "mae", "mba"], True) == OK
    head, _, bad, good = (out / "t/table.md").read_text().splitlines()[:4]
    assert head.startswith("| method | A s_measure ↑ | A mae ↓ | A mba ↑ | B s_measure ↑ |")
    assert [cell == "–" for cell in bad.split(" | ")[1:4]] == [False, False, True]
    assert [cell == "–" for cell in good.split(" | ")[1:4]] == [True, False, False]


def test_one_set_of_a_method_comes_from_one_folder(
    scored: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [out / "good", scored / "more/good"]
    assert tabulate_results(given, out / "t", ["mae"], allow_missing=True) == FAULTY_FILES
    assert "repeated: good on A:" in capsys.readouterr().err


def test_wrong_commands(scored: Path, out: Path) -> None:
    with pytest.raises(CommandError, match="output= is missing"):
        tabulate_results([out / "good"], None, METRICS)
    with pytest.raises(CommandError, match="is a folder with results"):
        tabulate_results([out], out / "good", METRICS)
    with pytest.raises(UserError, match="emphasize=ours: no such method; there are bad, good"):
        tabulate_results([out], out, METRICS, emphasize="ours")
    with pytest.raises(UserError, match="results: no folder"):
        tabulate_results([out / "nowhere"], out, METRICS)
    with pytest.raises(UserError, match="no finished run and no scored maps in"):
        tabulate_results([scored / "maps"], out, METRICS)
