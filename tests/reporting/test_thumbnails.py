"""The images that a run kept: both ends, of all its processes."""

import json
from pathlib import Path

import pytest

from src.errors import UserError
from src.reporting.runs import Run, collect
from src.reporting.thumbnails import best_and_worst
from tests.reporting.run_folders import keep_pictures, write_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_run(tmp_path / "a", {"SOD": {"mae": 0.10}})
    (run,) = collect([tmp_path])
    return run


def test_the_best_and_the_worst_of_all_processes(run: Run) -> None:
    keep_pictures(run.folder, "SOD", 0, [0.01, 0.3])
    keep_pictures(run.folder, "SOD", 1, [0.02, 0.9])
    best, worst = best_and_worst(run, "SOD")
    assert [t.name for t in best] == ["image_0.01", "image_0.02"]
    assert [t.name for t in worst] == ["image_0.9", "image_0.3"]
    assert best[0].jpeg == b"picture of 0.01"


@pytest.mark.parametrize(("kept", "shown"), [(0, 0), (1, 0), (2, 1), (5, 2), (6, 3), (16, 3)])
def test_no_picture_is_shown_at_both_ends(run: Run, kept: int, shown: int) -> None:
    keep_pictures(run.folder, "SOD", 0, [i / 100 for i in range(kept)])
    best, worst = best_and_worst(run, "SOD")
    assert len(best) == len(worst) == shown
    assert not {t.name for t in best} & {t.name for t in worst}


def test_equal_errors_keep_the_order_of_names(run: Run) -> None:
    keep_pictures(run.folder, "SOD", 0, [0.5] * 4)
    path = run.folder / "extremes" / "SOD" / "0.json"
    entries = json.loads(path.read_text())
    for entry, name in zip(entries, "dbca", strict=True):
        entry["name"] = name
    path.write_text(json.dumps(entries))
    best, worst = best_and_worst(run, "SOD")
    assert ("".join(t.name for t in best), "".join(t.name for t in worst)) == ("ab", "dc")


def test_a_picture_that_was_removed_is_left_out(run: Run) -> None:
    keep_pictures(run.folder, "SOD", 0, [0.1, 0.2, 0.3])
    (run.folder / "extremes" / "SOD" / "0_0.jpg").unlink()
    best, worst = best_and_worst(run, "SOD")
    assert [t.error for t in (*best, *worst)] == [0.2, 0.3]


def test_no_pictures_are_no_mistake(run: Run) -> None:
    keep_pictures(run.folder, "ECSSD", 0, [0.1, 0.2])
    assert best_and_worst(run, "SOD") == ([], [])


NO_ERROR = '[{"file": "0_0.jpg", "name": "a", "error": "?"}]'


@pytest.mark.parametrize("content", ["[{}]", "[", "7", '{"file": "x"}', NO_ERROR])
def test_damaged_ones_are_a_mistake(run: Run, content: str) -> None:
    keep_pictures(run.folder, "SOD", 0, [0.1])
    (run.folder / "extremes" / "SOD" / "0.json").write_text(content)
    with pytest.raises(UserError, match=r"0\.json is damaged \(.*\); test the run again"):
        best_and_worst(run, "SOD")
