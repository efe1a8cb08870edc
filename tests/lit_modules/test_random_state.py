"""The random generators come back, from values that a checkpoint may hold."""

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from src.lit_modules import random_state as module
from src.lit_modules.random_state import random_state, require_random_state, restore_random_state


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])
    torch.set_rng_state(before[2])


def drawn() -> list[float]:
    """From every generator; the normal ones keep a second number back."""
    pythons = [random.random(), random.gauss(0, 1)]
    numpys = [np.random.rand(), np.random.normal()]
    return [*pythons, *numpys, *torch.rand(2).tolist()]


def test_all_generators_come_back() -> None:
    drawn()
    saved = random_state()
    first = drawn()
    assert drawn() != first
    restore_random_state(saved)
    assert drawn() == first


def test_a_checkpoint_may_hold_it() -> None:
    """torch reads it with `weights_only`."""
    file = io.BytesIO()
    torch.save(random_state(), file)
    first = drawn()
    file.seek(0)
    restore_random_state(torch.load(file, weights_only=True))
    assert drawn() == first


def test_what_is_saved_does_not_go_on_with_the_generators() -> None:
    saved = random_state()
    first = drawn()
    drawn()
    restore_random_state(saved)
    assert drawn() == first


def test_a_rank_that_was_not_there_keeps_its_own() -> None:
    saved = {1: random_state()[0]}
    first = drawn()
    restore_random_state(saved)
    assert drawn() != first


@pytest.fixture
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second of two."""

    def gather(states: list[Any], own: Any) -> None:
        states[:] = ["of rank 0", own]

    monkeypatch.setattr(module.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(module.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(module.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(module.dist, "all_gather_object", gather)


@pytest.mark.usefixtures("two_ranks")
def test_each_rank_gets_its_own_back() -> None:
    saved = random_state()
    assert saved.keys() == {0, 1}
    assert saved[0] == "of rank 0"  # would break if it were restored here
    first = drawn()
    restore_random_state(saved)
    assert drawn() == first


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        (None, None, "its random state is missing"),
        ("python", (3, [1, 2], None), r"damaged \(Python's\), process 0"),
        ("numpy", ("MT19937", [1, 2], 0, 0, 0.0), r"damaged \(NumPy's\)"),
        ("torch", torch.zeros(3), r"damaged \(torch's\)"),
        ("cuda", 3, "damaged"),
    ],
)
def test_a_damaged_state_is_found_before_anything_is_set(
    part: str | None, value: Any, message: str
) -> None:
    states: Any = random_state() if part else None
    if part:
        states[0][part] = value
    before = drawn_after_reset()
    with pytest.raises(ValueError, match=message):
        require_random_state(states)
    require_random_state(random_state())
    assert drawn_after_reset() == before


def drawn_after_reset() -> list[float]:
    states = random_state()
    numbers = drawn()
    restore_random_state(states)
    return numbers
