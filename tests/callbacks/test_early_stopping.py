"""When training stops before its end, as a model's config states it."""

import torch
from lightning.pytorch.callbacks import EarlyStopping

from src.callbacks.stopping import better, early_stopping


def stops(callback: EarlyStopping | None, *scores: float) -> list[bool]:
    """After which of these validations it would."""
    assert callback is not None
    return [callback._evaluate_stopping_criteria(torch.tensor(score))[0] for score in scores]


def test_errors_are_to_fall_and_scores_to_rise() -> None:
    assert [better(f"val/{name}") for name in ("max_f", "mae", "mad", "loss")] == [
        *("max", "min", "min", "min")
    ]
    callback = early_stopping("val/mae", 2, None)
    assert callback is not None
    assert callback.mode == "min"


def test_neither_patience_nor_threshold_is_no_callback() -> None:
    assert early_stopping("val/max_f", None, None) is None


def test_patience_counts_validations_without_gain() -> None:
    found = stops(early_stopping("val/max_f", 2, None), 0.5, 0.4, 0.6, 0.6, 0.5)
    assert found == [False, False, False, False, True]


def test_a_threshold_is_enough_and_without_patience_nothing_else_is() -> None:
    callback = early_stopping("val/max_f", None, 0.99)
    assert stops(callback, 0.9, *[0.1] * 50, 0.995) == [*[False] * 51, True]


def test_no_patience_at_all_is_a_patience_too() -> None:
    assert stops(early_stopping("val/max_f", 0, None), 0.5, 0.4) == [False, True]


def test_it_looks_at_what_is_validated() -> None:
    callback = early_stopping("val/max_f", 3, None)
    assert callback is not None
    assert (callback.monitor, callback.mode) == ("val/max_f", "max")
    assert not callback._check_on_train_epoch_end
