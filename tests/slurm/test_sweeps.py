"""Sweeps and searches whose jobs a real SLURM carries out."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from src.sweeps.slurm import JobStates, has_accounts
from tests.running import TINY, folder_data, start

from .cluster import Cluster
from .pause import pauses
from .scripts import search_script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
JOBS = ["-m", *TINY, "model.epochs=1", "callbacks.gallery=null", "callbacks.extremes=null"]
SLURM = ["launcher=slurm", "launcher.gpus=0"]


def begin(cluster: Cluster, words: list[str], cwd: Path) -> subprocess.Popen[str]:
    """Start a sweep's command on the login node."""
    return start("train.py", words, cwd, **cluster.variables)


def end(cluster: Cluster, command: subprocess.Popen[str], code: int = 0) -> str:
    """Wait for a sweep's command, and return what it said."""
    output = command.communicate(timeout=900)[0]
    assert command.returncode == code, output
    assert "sacct" not in output  # submitit repeats that it does not answer
    return output


def manifest(sweep: Path) -> dict[str, dict[str, Any]]:
    return json.loads((sweep / "manifest.json").read_text())


def test_a_sweep_goes_on_past_a_killed_command_a_warned_job_and_a_failed_one(
    cluster: Cluster, root: Path, tmp_path: Path
) -> None:
    masks = f"data.train.masks=train/masks,{tmp_path}/missing"
    words = [*JOBS, *SLURM, *folder_data(root), masks, "name=shared", *pauses(tmp_path, 2)]
    command = begin(cluster, words, tmp_path)
    cluster.wait_until((tmp_path / "at-2").exists, "a job is at step 2")
    command.kill()
    command.communicate()
    (array,) = cluster.command("squeue", "--noheader", "--format=%F").split()[:1]
    cluster.command("scancel", "--signal=USR2", f"{array}_0")  # submitit's notice
    (tmp_path / "go-2").touch()
    for task in (0, 1):
        cluster.wait_for(f"{array}_{task}", "COMPLETED")
    sweep = tmp_path / "logs/sweeps/shared"
    (folder,) = (path.parent for path in sweep.glob("*/results.json"))
    assert "stopped by a signal" in (folder / "job.log").read_text()
    assert not (sweep / "manifest.json").exists()

    output = end(cluster, begin(cluster, words, tmp_path), code=1)
    assert "1 of 2 jobs are not finished" in output
    jobs = manifest(sweep)
    assert jobs.pop(folder.name)["state"] == "finished"
    ((failed, job),) = jobs.items()
    assert job["state"] == "failed"
    assert "missing" in job["error"]
    # What is finished is not done again, what failed is.
    assert (folder / "job.log").read_text().count("results in") == 1
    assert (sweep / failed / "job.log").read_text().count("error: ") == 2


def test_a_search_is_shared_by_an_array_and_extended_by_the_launcher(
    cluster: Cluster, root: Path, tmp_path: Path
) -> None:
    rates = "optimizer.lr=tag(log,interval(1e-4,1e-2))"
    words = [*JOBS, *folder_data(root), "name=search", "sweep=optuna", rates]
    job = cluster.submit(search_script([*words, "sweep.trials=2"], workers=2), tmp_path)
    cluster.wait_for(job, "COMPLETED")
    more = [*words, *SLURM, "sweep.trials=3", "sweep.at_once=2"]
    output = end(cluster, begin(cluster, more, tmp_path))
    assert "study search: 3 complete of 3 trials" in output
    jobs = manifest(tmp_path / "logs/sweeps/search")
    assert [job["state"] for job in jobs.values()] == ["finished"] * 3


def test_a_cancelled_job_does_not_keep_the_sweep_waiting(
    cluster: Cluster, root: Path, tmp_path: Path
) -> None:
    later = "+hydra.launcher.additional_parameters.begin=now+1hour"
    command = begin(cluster, [*JOBS, *SLURM, *folder_data(root), "name=late", later], tmp_path)
    queued = lambda: cluster.command("squeue", "--noheader", "--name=late", "--format=%A").split()  # noqa: E731
    cluster.wait_until(queued, "the job is in the queue")
    cluster.command("scancel", *queued())
    output = end(cluster, command, code=1)
    assert "(CANCELLED) ended before it was done" in output
    assert "SLURM ended 1 jobs; the same command tries them again" in output


def test_states_are_known_where_slurm_keeps_no_accounts(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster.variables[name])
    assert not has_accounts()
    job = cluster.submit("#!/bin/bash\n#SBATCH --begin=now+1hour --array=0-1\ntrue\n", tmp_path)
    states = JobStates()
    assert states.get_state(f"{job}_1", mode="force") == "RUNNING"  # or will
    assert not states.is_done(f"{job}_1", mode="cache")
    cluster.command("scancel", f"{job}_1")
    cluster.wait_until(lambda: states.is_done(f"{job}_1", mode="force"), "the job has ended")
    # Of a task of an array that has not begun, SLURM keeps nothing.
    assert states.get_state(f"{job}_1", mode="cache") in ("CANCELLED", "ENDED")
    assert states.get_state(f"{job}_0", mode="force") == "RUNNING"
    assert states.get_state("99999", mode="force") == "ENDED"  # forgotten
    cluster.command("scancel", job)
