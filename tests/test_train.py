"""The whole path, command to table, on images of a few pixels."""

import json
import time
from pathlib import Path

import pytest
import torch

from src.weights.loading import create, to_official
from tests import wandb_file
from tests.conftest import RunCommand
from tests.in_process import finish
from tests.running import (
    TINY,
    folder_data,
    last_weights,
    only_run,
    run,
    start,
)


@pytest.mark.slow
def test_a_run_leaves_its_results_and_where_they_come_from(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without their loggers, no tracker and none of the packages behind it is imported.
    (tmp_path / "first").mkdir()
    for name in ("wandb", "tensorboard", "mlflow"):
        (tmp_path / "first" / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "first"))

    output = run("train.py", [*TINY, *folder_data(root)], tmp_path)

    folder = only_run(tmp_path / "logs")
    results = json.loads((folder / "results.json").read_text())
    assert set(results["test"]) >= {"mae", "s_measure", "max_f", "mean_f", "adp_f", "max_f_dis"}
    assert "u2netp" in output
    assert (folder / "results.md").read_text().startswith("| method | data | N |")
    assert len((folder / "per_image.csv").read_text().splitlines()) == 1 + 7
    assert "picture6" in (folder / "per_image.csv").read_text()
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["finished"]
    assert provenance["images"] == {"test": 7}
    assert len(provenance["checkpoint"]["sha256"]) == 64
    assert (folder / "metrics.csv").read_text().splitlines()[0].count("train/side_outputs")
    assert list((folder / "gallery").glob("test_test.png"))


@pytest.mark.slow
def test_isnet_trains_its_encoder_once_and_then_learns_from_it(
    root: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    command = [
        *TINY,
        *folder_data(root),
        "model=isnet",
        "model.network.width=4",
        "model.teacher.recipe.epochs=1",
        "model.epochs=1",
    ]
    first = run_command("train.py", *command)
    assert "training it in" in first
    again = run_command("train.py", *command, "model.feature_supervision=l1")
    assert "cached in" in again

    runs = sorted((tmp_path / "logs").glob("isnet-folder/*/metrics.csv"))
    assert len(runs) == 2
    assert all("train/features" in path.read_text() for path in runs)
    (teacher,) = (tmp_path / "logs" / "teachers").iterdir()
    for path in runs:
        provenance = json.loads((path.parent / "provenance.json").read_text())
        assert set(provenance["weights"]) == {"teacher"}
    # The teacher's weights are no part of what it taught.
    state = last_weights(runs[0].parent)
    assert not any("teacher" in key for key in state)
    assert (teacher / "checkpoints" / "best.ckpt").is_file()


LONGER = [*TINY, "model.epochs=4", "callbacks.recent.steps=3", "test=false"]


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    cwd = tmp_path_factory.mktemp("whole")
    finish(["train.py", *LONGER, *folder_data(root)], cwd)
    return only_run(cwd / "logs")


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_weights(
    root: Path, tmp_path: Path, whole: Path
) -> None:
    command = [*LONGER, *folder_data(root), "name=stopped"]
    process = start("train.py", command, tmp_path)
    wait_for_checkpoint(tmp_path / "logs" / "stopped", process)
    process.kill()
    process.communicate(timeout=120)
    (stopped,) = (tmp_path / "logs" / "stopped").iterdir()
    assert not list((stopped / "checkpoints").glob("recent-0000020.ckpt")), "stopped too late"
    # A process of its own continues in faults/test_faults.py.
    finish(["train.py", f"resume={stopped}"], tmp_path)
    ours, theirs = last_weights(stopped), last_weights(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def wait_for_checkpoint(logs: Path, process) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 120
    while not list(logs.glob("*/checkpoints/recent-*.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_wandb_offline_ema_and_bf16_together(root: Path, tmp_path: Path) -> None:
    options = [
        "debug=fast",
        "logger=wandb",
        "logger.wandb.offline=true",
        "logger.wandb.artifact=true",
        "callbacks.ema.decay=0.9",
        "trainer.precision=bf16-mixed",
        "trainer.devices=2",
    ]
    run("train.py", [*TINY, *folder_data(root), *options], tmp_path)
    folder = only_run(tmp_path / "logs")
    records = wandb_file.records(folder / "wandb")  # of one process
    summary = wandb_file.summary(records)
    for test, values in json.loads((folder / "results.json").read_text()).items():
        assert {m: summary[f"test/{test}/{m}"] for m in values} == values  # to the last digit
        assert summary[f"per_image/{test}/nrows"] == 4
    assert "gallery/test/filenames" in summary
    (page,) = (record.run for record in records if record.HasField("run"))
    assert (page.run_group, page.display_name) == ("u2netp-folder", "u2netp-folder-seed0")
    assert {"model", "data", "seed"} <= {entry.key for entry in page.config.update}
    artifacts = [record.artifact for record in records if record.HasField("artifact")]
    assert [a.name for a in artifacts if a.type == "model"] == [f"u2netp-folder-{page.run_id}"]
    assert (folder / "metrics.csv").is_file()  # the CSV log is always there
    assert json.loads((folder / "provenance.json").read_text())["images"] == {"test": 4}
    averaged = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert "averaging_state" in averaged or "current_model_state" in averaged


def test_a_dry_run_tells_the_cost_and_trains_nothing(
    root: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    output = run_command("train.py", *TINY, *folder_data(root), "dry_run=true")
    assert "peak memory" in output
    assert "10 steps" in output  # 5 of an epoch, 2 epochs
    assert not list((tmp_path / "logs").rglob("*.ckpt"))


def test_a_dry_run_of_isnet_does_not_train_its_encoder_first(
    root: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    isnet = ["model=isnet", "model.network.width=4", "dry_run=true"]
    output = run_command("train.py", *TINY, *folder_data(root), *isnet)
    assert "peak memory" in output
    assert "training it in" not in output


@pytest.mark.slow
def test_one_image_is_learned_by_heart(root: Path, tmp_path: Path, run_command: RunCommand) -> None:
    run_command("train.py", *TINY, *folder_data(root), "debug=overfit_one", "model.epochs=30")
    rows = (only_run(tmp_path / "logs") / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("train/loss")
    losses = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.slow
def test_maps_and_their_checkpoint_score_the_same(
    root: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    """A released file is scored by `weights=`; its predicted maps, written as PNG, by `maps=`."""
    torch.manual_seed(0)
    weights = tmp_path / "u2netp.pth"
    torch.save(to_official(create("u2netp")), weights)
    small = ["model=u2netp", "model.size=32"]
    scored = [
        *small,
        *folder_data(root),
        f"weights={weights}",
        "output=of_weights",
        "trainer.accelerator=cpu",
        "data.num_workers=0",
        "metrics.workers=0",
        "callbacks.progress=null",
    ]
    run_command("evaluate.py", *scored)
    predict = [*small, f"weights={weights}", f"input={root}/test/images", "type=mask"]
    run_command("predict.py", *predict, "output=maps", "device=cpu")
    compared = ["maps=maps", f"ground_truth={root}/test/masks", "output=of_maps", "workers=1"]
    run_command("evaluate.py", *compared)

    of_weights = json.loads((tmp_path / "of_weights" / "results.json").read_text())
    of_maps = json.loads((tmp_path / "of_maps" / "results.json").read_text())
    assert list(of_weights.values()) == list(of_maps.values())
    assert len(of_maps["test"]) == 13
