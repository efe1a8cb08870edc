"""Joint histograms of boxes of a pair of maps."""

import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Counts, Gray
from src.metrics.kernels import compiled

Boxes = npt.NDArray[np.int32]  # (n, 4): left, top, width, height


def box_histograms(prediction: Gray, target: Gray, boxes: Boxes) -> Counts:
    """`(n, 2, 256)` pixels of each box, by side of the target and gray level."""
    counts = np.zeros((len(boxes), 2, 256), np.int64)
    _count_boxes(prediction, target, np.ascontiguousarray(boxes, np.int32), counts)
    return counts


def outside_histogram(prediction: Gray, target: Gray, boxes: Boxes) -> Counts:
    """`(2, 256)` pixels outside all boxes."""
    inside = np.zeros(target.shape, np.uint8)
    for left, top, width, height in boxes.tolist():
        inside[top : top + height, left : left + width] = 1
    counts = np.zeros((2, 256), np.int64)
    _count_outside(prediction, target, inside, counts)
    return counts


@compiled
def _count_boxes(prediction: Gray, target: Gray, boxes: Boxes, counts: Counts) -> None:
    for box in range(len(boxes)):
        left, top = np.int64(boxes[box, 0]), np.int64(boxes[box, 1])
        width, height = np.int64(boxes[box, 2]), np.int64(boxes[box, 3])
        for y in range(top, top + height):
            for x in range(left, left + width):
                side = np.int64(target[y, x] > FOREGROUND_ABOVE)
                counts[box, side, prediction[y, x]] += 1


@compiled
def _count_outside(prediction: Gray, target: Gray, inside: Gray, counts: Counts) -> None:
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            if inside[y, x] == 0:
                side = np.int64(target[y, x] > FOREGROUND_ABOVE)
                counts[side, prediction[y, x]] += 1
