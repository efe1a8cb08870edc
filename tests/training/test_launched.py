"""As many processes as the training wants, or a refusal before anything is written."""

import os
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from src.errors import UserError
from src.training.trainer import require_as_many
from tests.conftest import RunCommand
from tests.running import TINY


@pytest.fixture(autouse=True)
def nobody_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in ("WORLD_SIZE", "RANK"):
            monkeypatch.delenv(name)


def config(devices: Any, nodes: int = 1) -> DictConfig:
    return OmegaConf.create(
        {"trainer": {"devices": devices, "num_nodes": nodes, "accelerator": "cpu"}}
    )


def slurm(tasks: int, nodes: int = 1, job: str = "train") -> dict[str, str]:
    return {
        "SLURM_JOB_NAME": job,
        "SLURM_JOB_ID": "7",
        "SLURM_PROCID": "0",
        "SLURM_NTASKS": str(tasks),
        "SLURM_NNODES": str(nodes),
        "SLURM_NTASKS_PER_NODE": str(tasks // nodes),
    }


def torchrun(world: int, local: int) -> dict[str, str]:
    return {"RANK": "0", "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(local)}


@pytest.mark.parametrize(
    ("started", "wanted", "numbers"),
    [
        (slurm(4), (1,), r"SLURM started 4 processes on 1 node, but .* are 1:"),
        (slurm(8, 2), (4, 1), r"started 8 processes on 2 nodes.*trainer.num_nodes=1 are 4:"),
        (slurm(8, 2), (8, 1), r"Set trainer.devices=4 trainer.num_nodes=2"),
        (slurm(1), (4,), r"started 1 process on 1 node, but .* are 4:"),
        (slurm(4), ("auto",), r"are 1:"),
        (torchrun(4, 4), (1,), r"torchrun .* started 4 processes .*are 1:"),
        (torchrun(8, 4), (8, 1), r"Set trainer.devices=4 trainer.num_nodes=2"),
        (torchrun(2, 2), ([0, 1, 2],), r"are 3:"),
    ],
)
def test_other_numbers_are_refused_with_both(
    monkeypatch: pytest.MonkeyPatch, started: dict[str, str], wanted: Any, numbers: str
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=numbers):
        require_as_many(config(*wanted))


@pytest.mark.parametrize(
    ("started", "wanted"),
    [
        ({}, (4,)),
        (slurm(8, 2), (4, 2)),
        (slurm(1), (1,)),
        (slurm(1, job="bash"), (4,)),  # salloc, srun --pty bash: Lightning starts the others
        (slurm(1, job="interactive"), ("0,1",)),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, (4,)),  # in salloc's shell, no task
        (torchrun(8, 4), (4, 2)),
        (torchrun(2, 2), ("0,1",)),
    ],
)
def test_as_many_as_wanted_go_on(
    monkeypatch: pytest.MonkeyPatch, started: dict[str, str], wanted: Any
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    require_as_many(config(*wanted))


@pytest.mark.parametrize(
    ("tasks", "wanted", "given", "said"),
    [(8, (4, 2), None, "not given"), (1, (1,), "4", "4"), (8, (4, 2), "8", "8")],
)
def test_tasks_per_node_are_asked_for_as_lightning_wants_them(
    monkeypatch: pytest.MonkeyPatch, tasks: int, wanted: Any, given: str | None, said: str
) -> None:
    for name, value in slurm(tasks, nodes=tasks // wanted[0]).items():
        monkeypatch.setenv(name, value)
    if given is None:
        monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    else:
        monkeypatch.setenv("SLURM_NTASKS_PER_NODE", given)
    with pytest.raises(UserError, match=f"^--ntasks-per-node is {said}, .* --ntasks-per-node="):
        require_as_many(config(*wanted))


def test_nothing_is_written_by_copies_of_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_command: RunCommand
) -> None:
    for name, value in slurm(4).items():
        monkeypatch.setenv(name, value)
    said = run_command("train.py", *TINY, "data=synthetic", code=1)
    assert "error: SLURM started 4 processes" in said
    assert not list(tmp_path.rglob("config.yaml"))
