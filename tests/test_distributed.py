"""Several processes: each image counted once, the same numbers to the bit, each job run once."""

import json
import re
import socket
from pathlib import Path

import pytest

from tests.conftest import RunCommand
from tests.in_process import finish
from tests.running import TINY, folder_data, only_run, run, start


@pytest.fixture(scope="module")
def checkpoint(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    words = [*TINY, *folder_data(root), "model.epochs=1", "test=false"]
    finish(["train.py", *words], folder)
    return only_run(folder / "logs") / "checkpoints" / "best.ckpt"


@pytest.mark.slow
def test_one_two_and_three_processes_give_equal_results(
    root: Path, tmp_path: Path, checkpoint: Path
) -> None:
    tables = []
    for devices in (1, 2, 3):
        output = tmp_path / str(devices)
        words = [
            f"weights={checkpoint}",
            *folder_data(root),
            f"trainer.devices={devices}",
            f"output={output}",
            "trainer.accelerator=cpu",
            "data.num_workers=0",
            "callbacks.progress=null",
            "metrics=standard",
        ]
        if devices == 1:
            finish(["evaluate.py", *words], tmp_path)
        else:
            run("evaluate.py", words, tmp_path)
        tables.append((output / "results.json").read_bytes())
        lines = (output / "per_image.csv").read_text().splitlines()
        assert len(lines) == 1 + 7
        assert len(set(lines)) == 1 + 7
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.slow
def test_two_processes_train_together(root: Path, tmp_path: Path) -> None:
    together = ["trainer.devices=2", "model.sync_batchnorm=true", "model.epochs=1"]
    output = run("train.py", [*TINY, *folder_data(root), *together], tmp_path)
    assert "BatchNorm is not synchronized" in output  # a CPU cannot
    folder = only_run(tmp_path / "logs")
    assert json.loads((folder / "provenance.json").read_text())["images"] == {"test": 7}
    # 10 images, 2 processes, batches of 2: two steps of four images, and two left out.
    assert list((folder / "checkpoints").glob("recent-0000002.ckpt"))


@pytest.mark.slow
def test_two_nodes_train_together(root: Path, tmp_path: Path) -> None:
    """Two machines, played by two commands on the loopback address, as a scheduler starts them."""
    command = [
        *TINY,
        *folder_data(root),
        "trainer.num_nodes=2",
        "model.epochs=1",
        f"hydra.run.dir={tmp_path}/logs/both/nodes",
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    nodes = [
        start("train.py", command, tmp_path, NODE_RANK=str(rank), **address) for rank in (0, 1)
    ]
    outputs = [node.communicate(timeout=280)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    folder = only_run(tmp_path / "logs")
    assert json.loads((folder / "provenance.json").read_text())["images"] == {"test": 7}
    assert list((folder / "checkpoints").glob("recent-0000002.ckpt"))


@pytest.mark.slow
def test_jobs_of_a_sweep_run_once_each_with_processes_of_their_own(
    root: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    sweep = [
        "-m",
        *TINY,
        *folder_data(root),
        "model.epochs=1",
        "trainer.devices=2",
        "seed=0,1",
        "name=both",
    ]
    run("train.py", sweep, tmp_path)
    jobs = sorted((tmp_path / "logs" / "sweeps" / "both").glob("*/results.json"))
    assert len(jobs) == 2
    seeds = {json.loads((j.parent / "provenance.json").read_text())["seed"] for j in jobs}
    assert seeds == {0, 1}
    again = run_command("train.py", *sweep)
    assert again.count("finished before") == 2


@pytest.mark.slow
def test_a_failed_job_is_recorded_and_the_others_go_on(root: Path, tmp_path: Path) -> None:
    sweep = [
        "-m",
        *TINY,
        *folder_data(root),
        "model.epochs=1",
        "optimizer.lr=1e6,1e-3",
        "name=rates",
        "test=true",
    ]
    output = run("train.py", sweep, tmp_path, code=1)
    manifest = json.loads((tmp_path / "logs/sweeps/rates/manifest.json").read_text())
    states = sorted(job["state"] for job in manifest.values())
    assert states == ["failed", "finished"]
    (failed,) = (job for job in manifest.values() if job["state"] == "failed")
    # Training or, where its few steps got through, validation.
    assert re.search("the loss is|answer is not finite", failed["error"])
    assert "1 of 2 jobs are not finished" in output
