"""What a dry run says reads well, whatever the run's length."""

import pytest

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


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(5, "5 s"), (600, "10 min"), (36_000, "10.0 h"), (864_000, "10.0 days")],
)
def test_durations_have_the_unit_that_fits(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
