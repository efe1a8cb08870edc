"""The pen puts what it is told where it is told, whatever the map's size."""

import cv2
import numpy as np
import pytest

from src.datamodules.synthetic.canvas import (
    Canvas,
    Placement,
    circle,
    ellipse,
    path,
    rectangle,
    spokes,
)


@pytest.mark.parametrize("side", [100, 1000])
def test_a_disc_has_its_area_and_its_centre(side):
    pen = Canvas((side, side), Placement(x=0.4, y=0.6, reach=0.25))
    pen.fill([circle(0, 0, 1, 96)])
    mask = pen.coverage() / 255
    assert mask.sum() == pytest.approx(np.pi * (0.25 * side) ** 2, rel=0.03)
    rows, columns = np.indices(mask.shape)
    # Centers of pixels lie at half integers.
    assert (columns * mask).sum() / mask.sum() + 0.5 == pytest.approx(0.4 * side, abs=0.3)
    assert (rows * mask).sum() / mask.sum() + 0.5 == pytest.approx(0.6 * side, abs=0.3)


def test_a_stroke_is_as_wide_as_told_but_never_below_a_pixel_and_a_quarter():
    def width(reach: float, unit: float, side: int) -> float:
        pen = Canvas((side, side), Placement(reach=reach))
        pen.stroke([path((-1, 0), (1, 0))], unit)
        return float(pen.coverage()[:, side // 2].sum() / 255)

    assert width(0.4, 0.1, 500) == pytest.approx(0.1 * 0.4 * 500, abs=0.6)
    assert width(0.4, 0.001, 64) == pytest.approx(1.25, abs=0.3)


def test_without_ink_it_cuts_out():
    pen = Canvas((100, 100), Placement(reach=0.5))
    pen.fill([rectangle(-1, -1, 1, 1)])
    pen.fill([circle(0, 0, 0.5)], ink=False)
    pen.stroke([path((-1, 0.8), (1, 0.8))], 0.1, ink=False)
    mask = pen.coverage()
    assert mask[50, 50] == mask[90, 50] == 0
    assert mask[10, 10] == 255


def test_a_placement_turns_and_squeezes():
    pen = Canvas((200, 200), Placement(reach=0.4, turn=np.pi / 2, squeeze=0.5))
    pen.fill([rectangle(-1, -0.1, 1, 0.1)])
    rows, columns = np.nonzero(pen.coverage() > 128)
    assert np.ptp(rows) == pytest.approx(0.4 * 200, abs=3)  # half as long, and upright
    assert np.ptp(columns) == pytest.approx(0.08 * 200, abs=3)


def test_a_stamp_spans_the_object():
    pen = Canvas((200, 200), Placement(reach=0.4))
    image = np.zeros((50, 100), np.uint8)
    image[:, :50] = 255
    pen.stamp(image)
    rows, columns = np.nonzero(pen.coverage() > 128)
    assert (columns.min(), columns.max()) == pytest.approx((20, 99), abs=2)
    assert (rows.min(), rows.max()) == pytest.approx((60, 139), abs=2)


def test_shapes_of_points():
    assert np.allclose(np.hypot(*circle(0, 0, 2, 12).T), 2)
    assert ellipse(1, 0, 2, 1, 16).shape == (16, 2)
    lines = spokes(0, 0, 0.5, 1, np.array([0.0, np.pi / 2]))
    assert np.allclose(lines, [[[0.5, 0], [1, 0]], [[0, 0.5], [0, 1]]])


def test_small_and_large_maps_agree():
    place = Placement(reach=0.45, turn=0.3, shear=0.1)
    maps = []
    for side in (160, 1280):
        pen = Canvas((side, side), place)
        pen.stroke([circle(0, 0, 0.8)], 0.1, closed=True)
        maps.append(cv2.resize(pen.coverage(), (160, 160), interpolation=cv2.INTER_AREA))
    assert np.abs(maps[0].astype(float) - maps[1]).mean() < 1
