"""IoU after clicks, and the number of clicks to reach an IoU."""

import pytest

from src.metrics import ClickScores


def test_curve_and_number_of_clicks() -> None:
    scores = ClickScores(clicks=2, expected=3)
    scores.update([[0.86, 0.91, 0.95], [0.5, 0.8, 0.87]], [0, 1])
    scores.update([[0.1, 0.2, 0.3]], [2])
    scores.update([[0.1, 0.2, 0.3]], [2])  # a repeated object counts once
    values = scores.compute()
    assert values["iou_after_0"] == pytest.approx((0.86 + 0.5 + 0.1) / 3)
    assert values["iou_after_2"] == pytest.approx((0.95 + 0.87 + 0.3) / 3)
    assert values["noc85"] == pytest.approx((1 + 3 + 3) / 3)
    assert values["noc90"] == pytest.approx((2 + 3 + 3) / 3)
    assert values.keys() == scores.protocols.keys()


def test_refuses_another_number_of_clicks() -> None:
    with pytest.raises(ValueError, match=r"\(1, 2\), expected \(1, 3\)"):
        ClickScores(clicks=2).update([[0.1, 0.2]], [0])
