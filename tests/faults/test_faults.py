"""A quick part of the drill, of which `python -m tests.faults` is the whole."""

from functools import partial
from pathlib import Path

import pytest

from tests.faults import cases
from tests.faults.compare import differences
from tests.faults.damage import lose_worker
from tests.faults.kills import drill_kills
from tests.faults.outcome import Outcome
from tests.faults.processes import kill, signature, wait_for_changes
from tests.faults.small_disk import drill_full_disk, small_disk
from tests.in_process import finish

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # many processes in one test
    # Python 3.12 warns of forks beside threads, as an undisturbed run's data loader makes here.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]

SHORT = ("model.epochs=2", "data.num_workers=1")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cases.data(tmp_path_factory.mktemp("faults") / "data", maps=24, image_files=12)


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an undisturbed training run leaves."""
    return undisturbed(cases.train(root, tmp_path_factory.mktemp("whole"), *SHORT))


def undisturbed(case: cases.Case) -> Path:
    case.first.cwd.mkdir(parents=True, exist_ok=True)
    finish([case.first.script, *case.first.words], case.first.cwd)
    return case.folder


def test_training_outlives_a_full_disk_and_a_dead_worker(
    root: Path, trained: Path, tmp_path: Path
) -> None:
    outcome = Outcome()
    with small_disk(tmp_path / "disk", room=46 << 20, largest=4 << 20) as disk:
        case = cases.train(root, disk.folder, *SHORT)
        code, printed = case.first.run()
        outcome.expect_error(code, printed, "Make room, then", f"resume={case.folder}")
        disk.make_room()
        lose_worker(case.again, case.folder, outcome)
        finish([case.again.script, *case.again.words], case.again.cwd)
        outcome.expect_same(trained, case)
    assert not outcome.faults


def test_a_killed_sweep_goes_on(root: Path, trained: Path, tmp_path: Path) -> None:
    case = cases.sweep(root, tmp_path, *SHORT, seeds="0")
    process = case.first.start()
    assert wait_for_changes(process, lambda: signature(case.folder), 8)
    assert kill(process) == [], "its job lived on"
    code, printed = case.again.run()
    assert code == 0, printed
    (job,) = (path.parent for path in case.folder.glob("*/config.yaml"))
    # A sweep of one job computes what the run alone does, and adds its own records.
    assert differences(trained, job) == ["job.json is left over", "job.log is left over"]


def test_a_killed_prediction_goes_on(root: Path, tmp_path: Path) -> None:
    make = partial(cases.predict, root)
    whole = undisturbed(make(tmp_path / "whole"))
    assert not drill_kills(make, whole, tmp_path, kills=1).faults


def test_scoring_outlives_a_full_disk(root: Path, tmp_path: Path) -> None:
    make = partial(cases.evaluate, root)
    whole = undisturbed(make(tmp_path / "whole"))
    outcome = drill_full_disk(make, whole, tmp_path / "disk", room=48 << 10, largest=8 << 10)
    assert not outcome.faults
