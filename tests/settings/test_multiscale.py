"""Sizes of training batches: what can be written, and that every batch's size is its own alone."""

from typing import Any

import pytest

from src.settings.multiscale import Multiscale


def test_a_range_draws_both_sides_by_themselves() -> None:
    sizes = Multiscale.parse("64-128")
    assert set(sizes.shapes) == {(h, w) for h in (64, 96, 128) for w in (64, 96, 128)}
    drawn = {sizes.draw(0, epoch=0, batch=batch) for batch in range(100)}
    assert drawn == set(sizes.shapes)
    assert sizes.largest == (128, 128)


def test_a_list_draws_what_it_names() -> None:
    sizes = Multiscale.parse([64, [96, 160]])
    assert sizes.shapes == [(64, 64), (96, 160)]
    drawn = [sizes.draw(0, epoch=0, batch=batch) for batch in range(100)]
    assert set(drawn) == {(64, 64), (96, 160)}
    assert 30 < drawn.count((64, 64)) < 70
    assert sizes.largest == (96, 160)
    assert sizes.mean_pixels == (64 * 64 + 96 * 160) / 2


def test_seed_epoch_and_batch_decide_and_nothing_else() -> None:
    sizes = Multiscale.parse("32-512")
    assert sizes.draw(1, 2, 3) == Multiscale.parse("32-512").draw(1, 2, 3)
    others = [sizes.draw(*key) for key in ((1, 2, 4), (1, 3, 3), (2, 2, 3), (2, 1, 3))]
    assert len({sizes.draw(1, 2, 3), *others}) > 2


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("256", "neither a range"),
        ("256-300", "300 is no multiple of 32"),
        ("320-256", "begins above its end"),
        ("0-64", "0 is no side"),
        ([], "no size is listed"),
        ([100], "100 is no multiple of 32"),
        ([[64, 64, 64]], "no side and no"),
        ([64.0], "64.0 is no side"),
        ([True], "True is no side"),
        (["64"], "'64' is no side"),
    ],
)
def test_what_cannot_be_meant_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Multiscale.parse(value)
