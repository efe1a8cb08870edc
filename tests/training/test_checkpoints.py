"""Checkpoints of a run: the newest that can be used, read once."""

from pathlib import Path

import pytest
import torch

from src.errors import UserError
from src.training.checkpoint_io import AtomicCheckpointIO
from src.training.checkpoints import best, latest
from src.weights.checkpoint import read_checkpoint, verify


def save(path: Path, **entries: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {"weight": torch.ones(3)}, **entries}, path)
    return path


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = save(tmp_path / "checkpoints" / "recent-0000010.ckpt")
    newer = save(tmp_path / "checkpoints" / "recent-0000020.ckpt")
    assert latest(tmp_path) == newer
    newer.write_bytes(newer.read_bytes()[:100])
    assert latest(tmp_path) == older
    assert "recent-0000020.ckpt is damaged" in caplog.text
    older.write_bytes(b"")
    with pytest.raises(UserError, match="none of the checkpoints"):
        latest(tmp_path)


def test_a_flipped_bit_is_damage(tmp_path: Path) -> None:
    older = save(tmp_path / "checkpoints" / "recent-0000010.ckpt")
    newer = save(tmp_path / "checkpoints" / "recent-0000020.ckpt", more=torch.zeros(1000))
    content = bytearray(newer.read_bytes())
    content[len(content) // 2] ^= 1  # within the zeros: torch would load it
    newer.write_bytes(content)
    assert torch.load(newer, weights_only=True)["more"].any()
    assert latest(tmp_path) == older
    newer.rename(tmp_path / "checkpoints" / "best.ckpt")
    with pytest.raises(UserError, match=r"best\.ckpt is damaged; remove it"):
        best(tmp_path)


def test_a_run_without_checkpoints_says_so(tmp_path: Path) -> None:
    assert latest(tmp_path) is None
    with pytest.raises(UserError, match="no checkpoint to test"):
        best(tmp_path)


def test_the_best_is_tested_else_the_newest(tmp_path: Path) -> None:
    recent = save(tmp_path / "checkpoints" / "recent-0000010.ckpt")
    assert best(tmp_path) == recent
    assert best(tmp_path) != save(tmp_path / "checkpoints" / "best.ckpt")
    assert best(tmp_path).name == "best.ckpt"


def test_weights_that_are_not_finite_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = save(tmp_path / "checkpoints" / "recent-0000010.ckpt")
    bad = {"weight": torch.tensor([1.0, float("nan")])}
    save(tmp_path / "checkpoints" / "recent-0000020.ckpt", state_dict=bad)
    assert latest(tmp_path) == older
    assert "weight is not finite" in caplog.text


def test_what_was_verified_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "checkpoints" / "best.ckpt", epoch=3)
    read: list[object] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: read.append(a) or load(*a, **k))
    assert best(tmp_path) == best(tmp_path) == path
    assert AtomicCheckpointIO().load_checkpoint(path)["epoch"] == 3
    assert len(read) == 1
    save(path, epoch=4)
    assert AtomicCheckpointIO().load_checkpoint(path)["epoch"] == 4


def test_a_run_and_its_teacher_are_each_read_once_whatever_is_read_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, teacher, other = (save(tmp_path / name / "checkpoints" / "best.ckpt") for name in "rto")
    read: list[object] = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: read.append(a) or load(*a, **k))
    assert best(tmp_path / "r") == run
    assert best(tmp_path / "t") == teacher
    read_checkpoint(other)
    assert verify(run).content["state_dict"].keys() == {"weight"}
    for path in (teacher, run):
        AtomicCheckpointIO().load_checkpoint(path)
    assert len(read) == 3
    for path in (run, teacher, other):  # the third makes room
        verify(path)
    for path in (teacher, other):
        AtomicCheckpointIO().load_checkpoint(path)
    assert len(read) == 6
    AtomicCheckpointIO().load_checkpoint(run)
    assert len(read) == 7
