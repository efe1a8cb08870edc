"""What a dry run says reads well, whatever the run's length."""

import pytest

from src.settings.multiscale import Multiscale
from src.training.dry_run import Cost, duration


def test_a_run_that_waits_for_data_says_so() -> None:
    text = str(Cost(step=0.1, data=0.4, memory=2**31, steps=90_000))
    assert "peak memory 2.00 GiB\n" in text
    assert "75% of the time waits for data" in text
    assert "90000 steps: 10.0 h" in text


def test_patience_makes_it_an_upper_bound() -> None:
    text = str(Cost(1.0, 0.1, 2**30, 350_000, patient=True, on_cpu=True))
    assert "the whole process, on the CPU" in text
    assert "350000 steps at most, fewer once model.patience runs out: 4.1 days" in text
    assert "0% of the time" in text


def test_many_sizes_are_measured_at_the_largest() -> None:
    text = str(Cost(1.0, 0.1, 2**30, 100, varied=Multiscale.parse([32, 64])))
    assert "measured at 64×64, the largest size of multiscale" in text
    assert "the mean batch has 62% of its pixels" in text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(5, "5 s"), (600, "10 min"), (36_000, "10.0 h"), (864_000, "10.0 days")],
)
def test_durations_have_the_unit_that_fits(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
