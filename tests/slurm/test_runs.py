"""Runs of two nodes under a real SLURM: stopped, cancelled and broken, and continued to the end."""

import json
import re
from pathlib import Path

import pytest
import torch

from src.training.config import load_config
from tests.in_process import finish
from tests.running import ROOT, TINY, folder_data, last_weights

from .cluster import Cluster
from .pause import pauses
from .scripts import run_script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# Two steps in an epoch of two processes.
TRAINING = [
    *TINY,
    "model.epochs=3",
    "callbacks.recent.steps=3",
    "callbacks.gallery=null",
    "callbacks.extremes=null",
]


@pytest.fixture(scope="module")
def whole(cluster: Cluster, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on two nodes that nothing disturbed."""
    cwd = tmp_path_factory.mktemp("whole")
    job = cluster.submit(run_script([*TRAINING, *folder_data(root), "trainer.num_nodes=2"]), cwd)
    cluster.wait_for(job, "COMPLETED")
    return cwd / f"logs/u2netp-folder/slurm-{job}"


def log_of(folder: Path) -> str:
    """What the job of a run printed, all its starts."""
    return (folder.parents[2] / f"{folder.name.removeprefix('slurm-')}.log").read_text()


def test_two_nodes_train_and_test_as_one_process_tests(
    root: Path, tmp_path: Path, whole: Path
) -> None:
    assert not re.search("warn|synchroni[sz]|sacct", log_of(whole), re.IGNORECASE)
    weights = f"weights={whole / 'checkpoints' / 'best.ckpt'}"
    machine = ["trainer.accelerator=cpu", "data.num_workers=0", "metrics.workers=0"]
    metrics = f"metrics.test=[{','.join(load_config(whole).metrics.test)}]"
    words = [weights, metrics, *folder_data(root), *machine, "output=alone"]
    finish(["evaluate.py", *words], tmp_path)
    for name in ("results.json", "per_image.csv"):
        assert (whole / name).read_text() == (tmp_path / "alone" / name).read_text()


def test_a_job_that_is_warned_and_then_loses_a_node_ends_as_if_nothing_had_been(
    cluster: Cluster, root: Path, tmp_path: Path, whole: Path
) -> None:
    paused = [*TRAINING, *folder_data(root), "trainer.num_nodes=2", *pauses(tmp_path, 2, 5)]
    job = cluster.submit(run_script(paused), tmp_path)
    folder = tmp_path / f"logs/u2netp-folder/slurm-{job}"
    cluster.wait_until((tmp_path / "at-2").exists, "the run is at step 2")
    cluster.command("scancel", "--signal=USR1", job)
    (tmp_path / "go-2").touch()
    cluster.wait_for(job, "PENDING")
    assert (folder / "checkpoints/recent-0000003.ckpt").is_file()

    cluster.wait_for(job, "RUNNING")
    cluster.wait_until((tmp_path / "at-5").exists, "the run is at step 5")
    cluster.kill_node(cluster.nodes[1])
    (tmp_path / "go-5").touch()
    cluster.wait_for(job, "COMPLETED")
    cluster.start_node(cluster.nodes[1])

    assert "Traceback" not in log_of(folder)  # where the others lose their connection

    ours, theirs = last_weights(folder), last_weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for name in ("results.json", "per_image.csv"):
        assert (folder / name).read_text() == (whole / name).read_text()


def test_a_cancelled_job_has_saved_itself_and_can_be_resumed(
    cluster: Cluster, root: Path, tmp_path: Path
) -> None:
    words = [*TRAINING, *folder_data(root), "model.epochs=1", *pauses(tmp_path, 2)]
    job = cluster.submit(run_script(words, nodes=1), tmp_path)
    cluster.wait_until((tmp_path / "at-2").exists, "the run is at step 2")
    cluster.command("scancel", job)
    (tmp_path / "go-2").touch()
    cluster.wait_for(job, "CANCELLED")
    folder = tmp_path / f"logs/u2netp-folder/slurm-{job}"
    assert (folder / "checkpoints/recent-0000003.ckpt").is_file()
    finish(["train.py", f"resume={folder}"], tmp_path)
    assert json.loads((folder / "provenance.json").read_text())["finished"]


def test_a_number_of_nodes_that_slurm_did_not_give_is_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    job = cluster.submit(run_script([*TINY, "trainer.num_nodes=2"], nodes=1), tmp_path)
    cluster.wait_for(job, "FAILED")
    (line,) = errors_in(tmp_path / f"{job}.log")
    assert line.startswith("error: SLURM started 1 process on 1 node, but trainer.devices=1 ×")
    assert not list(tmp_path.rglob("config.yaml"))


def test_nodes_that_do_not_share_the_run_folder_say_so(cluster: Cluster, tmp_path: Path) -> None:
    script = run_script([*TINY, "trainer.num_nodes=2"])
    train, impatient = str(ROOT / "train.py"), str(ROOT / "tests/slurm/impatient.py")
    assert train in script
    # Each node has a disk of its own where the other has its own.
    script = script.replace(train, impatient).replace(
        " python ", " bash -c 'mkdir $SLURMD_NODENAME; cd $SLURMD_NODENAME; exec \"$@\"' - python "
    )
    job = cluster.submit(script, tmp_path)
    cluster.wait_for(job, "FAILED")
    lines = errors_in(tmp_path / f"{job}.log")
    assert lines
    assert all("all nodes have to share the run's folder" in line for line in lines)


def errors_in(log: Path) -> list[str]:
    """What a job's processes said, without what SLURM adds."""
    return [line for line in log.read_text().splitlines() if line.startswith("error: ")]
