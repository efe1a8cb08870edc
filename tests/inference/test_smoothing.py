"""Masks of a video over time."""

import numpy as np

from src.inference.frames import Smoother

FRAME = np.full((40, 40, 3), 90, np.uint8)


def full(value: int) -> np.ndarray:
    return np.full((40, 40), value, np.uint8)


def test_flicker_fades() -> None:
    smoother = Smoother(0.5)
    values = [int(smoother(full(v), FRAME)[0, 0]) for v in (200, 0, 200, 200)]
    assert values == [200, 100, 150, 175]


def test_a_cut_starts_afresh() -> None:
    smoother = Smoother(0.9)
    smoother(full(255), FRAME)
    assert smoother(full(0), 255 - FRAME // 2)[0, 0] == 0


def test_off_changes_nothing() -> None:
    smoother = Smoother(0.0)
    smoother(full(255), FRAME)
    assert smoother(full(3), FRAME)[0, 0] == 3
