"""`evaluate.py maps=… truth=…`: numbers, faults, kills, resumption."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import CommandError, UserError
from src.evaluation import scoring as scoring
from src.evaluation.maps import evaluate_maps
from src.evaluation.request import FAULTY_FILES, OK
from src.metrics import score_pair, summarize
from src.results.folder import read_results_folder
from tests.conftest import RunCommand
from tests.golden_data import SHARED, needs_shared
from tests.metrics.numbered_pairs import make_pair

NAMES = ["mae", "s_measure", "max_f", "max_f_dis", "mba", "hce"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Skeletons go to a folder of the test's own."""
    monkeypatch.setenv("FINECUT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_maps(root: Path, count: int, first: int = 0) -> tuple[Path, Path]:
    maps, target = root / "maps", root / "SET"
    maps.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    for index in range(first, first + count):
        prediction, true = make_pair(index)
        cv2.imwrite(str(maps / f"i{index:03d}.png"), prediction)
        cv2.imwrite(str(target / f"i{index:03d}.png"), true)
    return maps, target


def expected(count: int, names: list[str]) -> dict[str, float]:
    return summarize([score_pair(*make_pair(index), names) for index in range(count)], names)


def read(output: Path) -> dict[str, dict[str, float]]:
    return json.loads((output / "results.json").read_text())


def test_numbers_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps, target = write_maps(tmp_path, 5)
    output = tmp_path / "out"

    assert evaluate_maps(maps, target, output, NAMES, worst=2) == OK

    assert read(output) == {"SET": expected(5, NAMES)}
    with (output / "per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"i{i:03d}" for i in range(5)]
    assert float(rows[3]["hce"]) == score_pair(*make_pair(3), ["hce"]).values["hce"]
    table = (output / "results.md").read_text()
    assert "| maps | SET | 5 |" in table
    assert "max_f (mean of F curves)" in table
    assert "max_f_dis (F of mean P, R)" in table
    assert "PRECISION AND RECALL averaged over images first" in table
    assert r"max\_f\_dis" in (output / "results.tex").read_text()
    assert (output / "results.csv").read_text().count("\n") == 1 + len(NAMES)
    found = read_results_folder(output)
    assert (found.kind, found.method, set(found.protocol)) == ("maps", "maps", set(NAMES))
    assert found.provenance.images == {"SET": 5}
    assert summarize(found.image_results("SET"), NAMES) == found.values["SET"]
    assert cv2.imread(str(output / "worst.png")) is not None
    assert table in capsys.readouterr().out


def test_processes_give_the_same_file(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 20)
    assert evaluate_maps(maps, target, tmp_path / "one", NAMES, workers=1) == OK
    assert evaluate_maps(maps, target, tmp_path / "two", NAMES, workers=2) == OK
    for name in ("results.json", "per_image.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def spoil(maps: Path, target: Path) -> None:
    (maps / "i000.png").unlink()
    cv2.imwrite(str(maps / "stray.png"), np.zeros((4, 4), np.uint8))
    whole = (maps / "i001.png").read_bytes()
    (maps / "i001.png").write_bytes(whole[: len(whole) // 2])
    (target / "i002.png").write_text("no image")


def test_all_faults_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps, target = write_maps(tmp_path, 5)
    spoil(maps, target)

    assert evaluate_maps(maps, target, tmp_path / "out", NAMES) == FAULTY_FILES

    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("missing: ") for line in lines) == 1
    assert sum(line.startswith("extra: ") for line in lines) == 1
    assert sum(line.startswith("unreadable: ") for line in lines) == 2
    assert "4 faults" in lines[-1]
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_fault_that_only_decoding_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, target = write_maps(tmp_path, 3)
    whole = (maps / "i001.png").read_bytes()
    (maps / "i001.png").write_bytes(whole[: len(whole) // 2])
    assert evaluate_maps(maps, target, tmp_path / "out", NAMES) == FAULTY_FILES
    assert "i001.png: damaged" in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()


def test_allow_missing_scores_the_rest_and_marks_it(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 6)
    spoil(maps, target)
    output = tmp_path / "out"

    assert evaluate_maps(maps, target, output, ["mae"], allow_missing=True) == OK

    rest = [score_pair(*make_pair(index), ["mae"]) for index in (3, 4, 5)]
    assert read(output) == {"SET": summarize(rest, ["mae"])}
    table = (output / "results.md").read_text()
    assert "3 of 6 INCOMPLETE" in table
    assert "3 of 6 INCOMPLETE" in (output / "results.tex").read_text()
    assert len(read_results_folder(output).provenance.left_out) == 4


@pytest.mark.parametrize("allow_missing", [False, True])
def test_another_size_is_an_error_or_resized(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], allow_missing: bool
) -> None:
    maps, target = write_maps(tmp_path, 2)
    cv2.imwrite(str(maps / "i001.png"), make_pair(1)[0][:20, :30])
    output = tmp_path / "out"

    assert evaluate_maps(maps, target, output, ["mae"], allow_missing) == FAULTY_FILES
    assert "is 30x20" in capsys.readouterr().err
    assert evaluate_maps(maps, target, output, ["mae"], resize="prediction") == OK
    assert "1 images: map resized" in (output / "results.md").read_text()


def test_wrong_commands(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 1)
    output = tmp_path / "out"
    with pytest.raises(CommandError, match="no metric 'fmax'"):
        evaluate_maps(maps, target, output, ["fmax"])
    with pytest.raises(CommandError, match="resize=truth"):
        evaluate_maps(maps, target, output, ["mae"], resize="truth")
    with pytest.raises(UserError, match="no folder"):
        evaluate_maps(maps, tmp_path / "none", output, ["mae"])


def test_soft_truths_and_degenerate_images_are_reported(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 2)
    cv2.imwrite(str(target / "i000.png"), cv2.blur(make_pair(0)[1], (3, 3)))
    cv2.imwrite(str(target / "i001.png"), make_pair(1)[1] * 0)
    output = tmp_path / "out"
    assert evaluate_maps(maps, target, output, ["mae", "mba"]) == OK
    table = (output / "results.md").read_text()
    assert "1 images: ground truth has gray values; foreground is where it is > 128" in table
    assert "SET: 1 x empty target" in table
    assert "mba is undefined on 1 images" in table


def test_finished_images_are_not_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps, target = write_maps(tmp_path, 6)
    output = tmp_path / "out"
    assert evaluate_maps(maps, target, output, NAMES) == OK
    first = (output / "results.json").read_bytes()
    journal = output / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])  # the last line is cut short
    cv2.imwrite(str(maps / "i002.png"), make_pair(2)[0] // 2)
    scored: list[str] = []
    original = scoring.score_files

    def watch(pair, content, metrics, **options):  # type: ignore[no-untyped-def]
        scored.append(pair.name)
        return original(pair, content, metrics, **options)

    monkeypatch.setattr(scoring, "score_files", watch)
    assert evaluate_maps(maps, target, output, NAMES) == OK
    assert sorted(scored) == ["i002", "i005"]  # changed, and cut short in the log
    assert (output / "results.json").read_bytes() != first

    cv2.imwrite(str(maps / "i002.png"), make_pair(2)[0])
    assert evaluate_maps(maps, target, output, NAMES) == OK
    assert (output / "results.json").read_bytes() == first
    assert sorted(scored) == ["i002", "i005"]  # what was scored first is still known

    assert evaluate_maps(maps, target, output, ["mae_raw", "biou"]) == OK
    assert len(scored) == 2 + 6  # the first follows from histograms, the second does not


def test_skeletons_of_truths_are_kept(tmp_path: Path, cache: Path) -> None:
    maps, target = write_maps(tmp_path, 3)
    assert evaluate_maps(maps, target, tmp_path / "a", ["hce"]) == OK
    kept = {path: path.stat().st_mtime_ns for path in (cache / "skeletons").glob("skeleton-*")}
    assert len(kept) == 3
    assert evaluate_maps(maps, target, tmp_path / "b", ["hce"]) == OK
    assert {path: path.stat().st_mtime_ns for path in (cache / "skeletons").glob("*")} == kept
    assert read(tmp_path / "a") == read(tmp_path / "b") == {"SET": expected(3, ["hce"])}


@pytest.mark.slow
def test_killed_run_goes_on(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 150)
    output = tmp_path / "out"
    code = (
        "from src.evaluation.maps import evaluate_maps; "
        f"evaluate_maps({str(maps)!r}, {str(target)!r}, {str(output)!r}, {NAMES!r}, workers=2)"
    )
    script = tmp_path / "run.py"
    script.write_text(f"if __name__ == '__main__':\n    {code.replace('; ', chr(10) + '    ')}\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script)],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        journal = output / "journal.jsonl"
        deadline = time.monotonic() + 120
        while not journal.exists() or journal.read_bytes().count(b"\n") < 20:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = journal.read_bytes().count(b"\n")
    assert not (output / "results.json").exists()
    assert _ends(process.pid)

    assert evaluate_maps(maps, target, output, NAMES, workers=1) == OK

    assert read(output) == {"SET": expected(150, NAMES)}
    assert 150 <= journal.read_bytes().count(b"\n") <= 151
    assert kept < 150


def _ends(group: int) -> bool:
    """Whether all processes of a group are gone within a few seconds."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "max_f_dis", "s_measure", "mae"),
    [
        ("Amulet", 0.8061, 0.7579, 0.1407),
        ("DSS", 0.8439, 0.7514, 0.1213),
        ("PiCANet", 0.8534, 0.7905, 0.1021),
    ],
)
def test_published_rows_on_sod_come_out(
    tmp_path: Path, method: str, max_f_dis: float, s_measure: float, mae: float
) -> None:
    data = SHARED / "data"
    names = ["max_f_dis", "s_measure", "mae", "max_f"]
    code = evaluate_maps(
        data / "SOD-maps" / method, data / "SOD" / "masks", tmp_path, names, workers=1, worst=0
    )
    assert code == OK
    values = read(tmp_path)["SOD"]
    assert values["max_f_dis"] == pytest.approx(max_f_dis, abs=5e-5)
    assert values["s_measure"] == pytest.approx(s_measure, abs=5.1e-5)
    assert values["mae"] == pytest.approx(mae, abs=5e-5)
    assert values["max_f_dis"] - values["max_f"] > 0.03
    with (data / "SOD-maps" / "published.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["method"] == method)
    printed = {"max_f_dis": row["max_f"], "s_measure": row["s_measure"], "mae": row["mae"]}
    for name, text in printed.items():
        assert values[name] == pytest.approx(float(text), abs=6e-4), name


def test_start_is_light(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 2)
    arguments = [
        f"maps={maps}",
        f"ground_truth={target}",
        f"output={tmp_path / 'out'}",
        "metrics=standard",
    ]
    code = (
        f"import sys; sys.argv = ['evaluate.py', *{arguments!r}]; import runpy\n"
        "try:\n    runpy.run_path('evaluate.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = [n for n in ('torch', 'lightning', 'timm', 'pandas') if n in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "out" / "results.json").exists()


def test_numbers_among_the_images_are_never_read_as_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, target = write_maps(tmp_path, 2)
    for output in (target / "scores", maps / "scores"):
        for _ in range(2):
            assert evaluate_maps(maps, target, output, ["mae"]) == OK
        assert (output / "worst.png").is_file()
        assert read(output) == {"SET": expected(2, ["mae"])}
    for output in (target, maps):
        with pytest.raises(CommandError, match="holds maps or ground truth"):
            evaluate_maps(maps, target, output, ["mae"])


def test_the_folder_of_a_run_is_no_place_for_other_numbers(tmp_path: Path) -> None:
    maps, target = write_maps(tmp_path, 1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    with pytest.raises(CommandError, match=r"output=.*run is the folder of a run"):
        evaluate_maps(maps, target, tmp_path / "run", ["mae"])


def test_resized_and_incomplete_results_are_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, target = write_maps(tmp_path, 3)
    assert evaluate_maps(maps, target, tmp_path / "whole", ["mae"]) == OK
    cv2.imwrite(str(maps / "i001.png"), make_pair(1)[0][:20, :30])
    assert evaluate_maps(maps, target, tmp_path / "resized", ["mae"], resize="prediction") == OK
    (maps / "i001.png").unlink()
    assert evaluate_maps(maps, target, tmp_path / "part", ["mae"], allow_missing=True) == OK
    cv2.imwrite(str(maps / "i001.png"), make_pair(1)[0])
    for name, said in (("resized", "holds 1 maps that were brought"), ("part", "is incomplete")):
        again = tmp_path / f"against {name}"
        with pytest.raises(UserError, match=said):
            evaluate_maps(maps, target, again, ["mae"], compare=tmp_path / name)
        assert not again.exists(), "that is said before anything is scored"


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, target = write_maps(tmp_path, 1)
    (tmp_path / "file").touch()
    monkeypatch.setenv("FINECUT_CACHE", str(tmp_path / "file"))
    assert evaluate_maps(maps, target, tmp_path / "out", ["hce"]) == OK
    assert "skeletons are not kept" in capsys.readouterr().err
    assert read(tmp_path / "out") == {"SET": expected(1, ["hce"])}


@pytest.mark.parametrize("name", ["journal.jsonl", "worst.png", "results.json", "per_image.csv"])
def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, run_command: RunCommand, name: str
) -> None:
    maps, target = write_maps(tmp_path, 1)
    (tmp_path / "out" / name).mkdir(parents=True)
    words = f"maps={maps}", f"ground_truth={target}", "output=out", "metrics.test=[mae]"
    last = run_command("evaluate.py", *words, code=1).splitlines()[-1]
    assert last.startswith(f"error: out/{name}: Is a directory")


def test_maps_of_zeros_and_ones_are_read_alike_and_said(tmp_path: Path) -> None:
    """One map of a set alone does not say whether 1 is white or nearly black."""
    maps, target = write_maps(tmp_path, 2)
    for path in sorted(maps.iterdir()):
        mask = cv2.imread(str(target / path.name), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path), mask // 255 * (path.stem == "i000"))
    assert evaluate_maps(maps, target, tmp_path / "out", ["iou"]) == OK
    table = (tmp_path / "out/results.md").read_text()
    assert "2 images: all maps of the set hold 0 and 1 only" in table
    rows = (tmp_path / "out/per_image.csv").read_text()
    assert "i000,1.0" in rows.replace(" ", "")
    cv2.imwrite(str(maps / "i001.png"), cv2.imread(str(target / "i001.png"), cv2.IMREAD_GRAYSCALE))
    assert evaluate_maps(maps, target, tmp_path / "out", ["iou"]) == OK
    rows = (tmp_path / "out/per_image.csv").read_text()
    assert "i000,0.0" in rows.replace(" ", ""), "1 of 255 beside a map that reaches 255"
    assert "i001,1.0" in rows.replace(" ", "")


def test_a_matte_that_is_gray_all_over_is_scored_by_metrics_of_mattes_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, target = write_maps(tmp_path, 2)
    smoke = np.tile(np.arange(0, 192, 4, dtype=np.uint8), (48, 1))
    cv2.imwrite(str(target / "i001.png"), smoke)
    cv2.imwrite(str(maps / "i001.png"), smoke)
    output = tmp_path / "out"
    assert evaluate_maps(maps, target, output, ["sad", "mad"]) == OK
    assert "gray" not in (output / "results.md").read_text()
    # What is stored of the matte gives no metric of masks, not even one that histograms give.
    for metrics in (["mae"], ["sad", "mae"]):
        assert evaluate_maps(maps, target, output, metrics) == FAULTY_FILES
        assert "a photograph, not a mask?" in capsys.readouterr().err


def test_the_ground_truth_as_a_method_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, target = write_maps(tmp_path, 2)
    assert evaluate_maps(target, target, tmp_path / "out", ["mae"], worst=0) == OK
    assert "warning: the maps are the ground truth itself" in capsys.readouterr().err
