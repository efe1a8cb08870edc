"""The best checkpoint of a run whose folder was moved."""

from pathlib import Path

import torch

from src.callbacks.checkpoints import BestCheckpoint


def saver(folder: Path) -> BestCheckpoint:
    return BestCheckpoint(dirpath=folder, filename="best", monitor="val/max_f", mode="max")


def test_a_moved_run_remembers_its_best(tmp_path: Path) -> None:
    before, after = saver(tmp_path / "here"), saver(tmp_path / "there")
    path = str(tmp_path / "here" / "best.ckpt")
    before.best_model_path = before.kth_best_model_path = path
    before.best_model_score = before.kth_value = torch.tensor(0.9)
    before.current_score = torch.tensor(0.7)
    before.best_k_models = {path: torch.tensor(0.9)}

    after.load_state_dict(before.state_dict())

    moved = str(tmp_path / "there" / "best.ckpt")
    assert after.current_score == before.current_score
    assert after.best_k_models == {moved: torch.tensor(0.9)}
    assert after.best_model_path == after.kth_best_model_path == moved
    assert not after.check_monitor_top_k(_Trainer(), torch.tensor(0.5))  # type: ignore[arg-type]


class _Trainer:
    class strategy:  # noqa: N801
        @staticmethod
        def reduce_boolean_decision(decision: bool) -> bool:
            return decision
