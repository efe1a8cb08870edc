"""What a run says of its origin: hashes that agree for equal things, nulls for unknown ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from src.results import provenance
from src.training.config import config_hash
from src.training.provenance import collect, git_state, hardware, state_hash, write


def answer(monkeypatch: pytest.MonkeyPatch, **answers: str) -> None:
    """Let git answer by its first word."""
    monkeypatch.setattr(provenance, "_git", lambda *words: answers[words[0].replace("-", "_")])


def test_entries_are_added_and_replaced(tmp_path: Path) -> None:
    write(tmp_path, seed=0, images={"SOD": 2})
    write(tmp_path, seed=1, path=tmp_path / "x")
    path = tmp_path / "provenance.json"
    assert json.loads(path.read_text()) == {
        "seed": 1,
        "images": {"SOD": 2},
        "path": str(tmp_path / "x"),
    }
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    given = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3), "c": torch.tensor([True])}
    return {**given, **changes}


def test_equal_weights_have_one_hash_whatever_their_order_and_layout() -> None:
    first = state_hash(state())
    assert state_hash(dict(reversed(state().items()))) == first
    assert state_hash(state(a=torch.arange(6.0).view(2, 3).T.contiguous().T)) == first
    parameter = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    assert state_hash(state(a=parameter)) == first


def test_whatever_differs_in_weights_changes_the_hash() -> None:
    values = torch.arange(6.0).view(2, 3)
    nearly = values.clone()
    nearly[0, 0] = 1e-40
    changed = [
        state(a=nearly),
        state(a=values.view(3, 2)),
        state(a=values.double()),
        state(a=values.bfloat16()),
        state(d=torch.empty(0)),
        {"A" if name == "a" else name: tensor for name, tensor in state().items()},
    ]
    hashes = {state_hash(state()), *map(state_hash, changed)}
    assert len(hashes) == 1 + len(changed)


@pytest.mark.parametrize(("status", "dirty"), [("", False), (" M src/a.py", True)])
def test_code_is_a_commit_and_whether_it_was_changed(
    monkeypatch: pytest.MonkeyPatch, status: str, dirty: bool
) -> None:
    answer(monkeypatch, rev_parse="abc", status=status)
    assert git_state() == {"commit": "abc", "dirty": dirty}


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no git"), subprocess.CalledProcessError(128, "git")]
)
def test_without_git_or_a_repository_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*words: str) -> str:
        raise error

    monkeypatch.setattr(provenance, "_git", fail)
    assert git_state() == {"commit": None, "dirty": None}


def test_gpus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"card {i}")
    said = hardware()
    assert said["gpus"] == ["card 0", "card 1"]
    assert said["cores"] >= 1
    assert said["machine"]


def test_everything_known_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, rev_parse="abc", status="")
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "seed=3"])
    cfg = OmegaConf.create({"seed": 3, "folder": "<run>", "again": "${seed}"})
    said = collect(cfg, {"train": {"count": 2}})
    assert said["command"] == "python train.py seed=3"
    assert said["config"] == {"seed": 3, "folder": "<run>", "again": 3}
    assert said["config_hash"] == config_hash(cfg)
    assert (said["seed"], said["data"]) == (3, {"train": {"count": 2}})
    assert said["versions"]["torch"] in torch.__version__
    assert said["git"] == {"commit": "abc", "dirty": False}
    assert json.loads(json.dumps(said)) == said
