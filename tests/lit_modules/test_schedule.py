"""The schedule equals the authors' table of rates, and goes on where theirs ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.optim import SGD

from src.lit_modules.schedule import PolyLR

COPIED = np.load(Path(__file__).parents[1] / "golden" / "inspyrenet.npz")


def optimizer(*rates: float) -> SGD:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def rates_over(schedule: PolyLR, steps: int) -> np.ndarray:
    rates = [schedule.get_last_lr()]
    for _ in range(steps):
        schedule.optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr())
    return np.array(rates)


def test_equals_the_authors_with_warmup() -> None:
    schedule = PolyLR(optimizer(1e-5, 1e-4), 40, minimum_lr=1e-7, warmup_iteration=12)
    np.testing.assert_allclose(rates_over(schedule, 40), COPIED["polylr_warm"], rtol=1e-12)


def test_equals_the_authors_without_warmup() -> None:
    schedule = PolyLR(optimizer(1e-3, 5e-4), 40, minimum_lr=0, warmup_iteration=0)
    np.testing.assert_allclose(rates_over(schedule, 40), COPIED["polylr_nowarm"], rtol=1e-12)


def test_stays_at_the_floor_after_the_last_iteration() -> None:
    rates = rates_over(PolyLR(optimizer(1e-4), 5, warmup_iteration=0), 8)
    assert (rates[5:] == 1e-7).all()


def test_resumes() -> None:
    whole = rates_over(PolyLR(optimizer(1e-4), 20, warmup_iteration=4), 20)
    first = PolyLR(optimizer(1e-4), 20, warmup_iteration=4)
    rates_over(first, 7)
    second = PolyLR(optimizer(1e-4), 20, warmup_iteration=4)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    np.testing.assert_allclose(rates_over(second, 13), whole[7:])


@pytest.mark.parametrize(("iterations", "warmup"), [(0, 0), (10, -1)])
def test_refuses_impossible_lengths(iterations: int, warmup: int) -> None:
    with pytest.raises(ValueError, match="max_iteration"):
        PolyLR(optimizer(1e-4), iterations, warmup_iteration=warmup)


def test_a_short_training_gets_a_short_warm_up() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = PolyLR(optimizer, 40, minimum_lr=0, warmup_iteration=100, warmup_fraction=0.1)
    assert schedule.warmup_iteration == 4
