"""The images say what is missed and what is too much."""

import numpy as np

from src.callbacks.galleries import error_row


def test_a_row_shows_image_truth_prediction_and_error() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    target = np.zeros((40, 60), np.uint8)
    target[:, :30] = 255
    prediction = np.zeros((40, 60), np.uint8)
    prediction[:, 15:45] = 255

    row = error_row(image, target, prediction, height=40)

    assert row.shape == (40, 4 * 60, 3)
    assert (row[:, :60] == 90).all()
    error = row[20, 180:].astype(int)
    missed, agreed, extra, nothing = error[5], error[20], error[40], error[55]
    assert missed[0] > 100 > missed[2]
    assert extra[2] > 100 > extra[0]
    assert agreed[0] == agreed[1] == agreed[2] > 0
    assert nothing.sum() == 0
