"""The report of fine-tuning says what was won and lost, and survives its checkpoints."""

from typing import Any

import pytest

from src.callbacks.finetuning_report import FineTuningReport


def report(*rows: tuple[int, float, float]) -> FineTuningReport:
    """Of validations (step, max-F on the new data, max-F on the base data)."""
    made = FineTuningReport("val/max_f")
    made.rows = [
        {"step": s, "scored": {"val": {"max_f": v}, "base": {"max_f": b}}} for s, v, b in rows
    ]
    made.counts = {"val": 5, "base": 3}
    return made


def test_before_best_and_last_stand_in_one_table() -> None:
    text = report((0, 0.5, 0.9), (10, 0.7, 0.88), (20, 0.6, 0.8)).section()
    assert "| untouched weights | val | 5 | 0.5000 |" in text
    assert "| untouched weights | base | 3 | 0.9000 |" in text
    assert "| best, step 10 | val | 5 | 0.7000 |" in text
    assert "| last, step 20 | base | 3 | 0.8000 |" in text
    assert "| best − untouched | val | 5 | 0.2000 |" in text
    assert "| best − untouched | base | 3 | -0.0200 |" in text
    assert "max_f fell by 0.0200 on the base data" in text
    assert "No validation beat" not in text


def test_weights_that_were_better_before_are_said_to_be() -> None:
    text = report((0, 0.8, 0.9), (10, 0.7, 0.9)).section()
    assert "No validation beat the untouched weights" in text
    assert "fell by" not in text


def test_a_checkpoint_brings_its_rows_but_takes_none_away() -> None:
    whole = report((0, 0.5, 0.9), (10, 0.7, 0.9))
    state: dict[str, Any] = whole.state_dict()
    resumed = report()
    resumed.load_state_dict(state)
    assert [row["step"] for row in resumed.rows] == [0, 10]
    whole.load_state_dict(report((0, 0.5, 0.9)).state_dict())
    assert [row["step"] for row in whole.rows] == [0, 10]


@pytest.mark.parametrize(("step", "shown"), [(0, "max_f 0.5000;"), (10, "max_f 0.7000 (+0.2000)")])
def test_each_line_shows_the_distance_from_the_start(step: int, shown: str) -> None:
    made = report((0, 0.5, 0.9), (10, 0.7, 0.9))
    (row,) = (row for row in made.rows if row["step"] == step)
    assert shown in made._line(row)
