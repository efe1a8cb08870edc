"""Before a validation no checkpoint is written."""

from types import SimpleNamespace
from typing import Any

import pytest

from src.training.between_steps import validation_follows


def trainer(every: int, last: bool = False, seen: int = 0, by_epoch: bool = True) -> Any:
    progress = SimpleNamespace(is_last_batch=last)
    loop = SimpleNamespace(
        epoch_loop=SimpleNamespace(batch_progress=progress), total_batch_idx=seen
    )
    return SimpleNamespace(
        fit_loop=loop, check_val_every_n_epoch=1 if by_epoch else None, val_check_batch=every
    )


@pytest.mark.parametrize(
    ("batch", "state", "follows"),
    [
        (3, {"every": 5}, False),
        (4, {"every": 5}, True),
        (2, {"every": 5, "last": True}, True),
        (1, {"every": 4, "seen": 7, "by_epoch": False}, True),
        (3, {"every": 4, "seen": 8, "by_epoch": False}, False),
    ],
)
def test_the_last_batch_before_a_validation(
    batch: int, state: dict[str, Any], follows: bool
) -> None:
    assert validation_follows(trainer(**state), batch) is follows
