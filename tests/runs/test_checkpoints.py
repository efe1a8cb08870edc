"""Checkpoints of a run: the newest that can be read, and no code from strangers."""

from pathlib import Path

import pytest
import torch

from src.errors import UserError
from src.runs.checkpoints import best, identity, latest


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


GEOMETRY = {"size": [8, 8]}


def test_a_checkpoint_says_what_it_is(tmp_path: Path) -> None:
    said = {"model": "isnet", "network": {"_target_": "src.networks.isnet.ISNet"}}
    path = save(tmp_path / "a.ckpt", finecut={**said, "geometry": GEOMETRY})
    assert identity(path) == {**said, "geometry": GEOMETRY}
    assert identity(save(tmp_path / "b.ckpt")) is None


@pytest.mark.parametrize(
    "network",
    [
        {"_target_": "os.system", "command": "true"},
        {"_target_": "src.networks.isnet.ISNet", "width": {"_target_": "os.getpid"}},
        {"_target_": "src.networks.isnet.ISNet", "width": [{"_target_": "os.getpid"}]},
        {},
    ],
)
def test_a_checkpoint_may_not_name_code(tmp_path: Path, network: dict) -> None:
    said = {"model": "isnet", "network": network, "geometry": GEOMETRY}
    path = save(tmp_path / "evil.ckpt", finecut=said)
    with pytest.raises(UserError, match=r"evil\.ckpt wants to build"):
        identity(path)
