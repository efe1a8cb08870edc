"""One picture of the images scored worst: truth | prediction | errors, a row each."""

import math
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from src.atomic import atomic_write_image
from src.evaluation.matching import Pair
from src.evaluation.read_map import read_map
from src.metrics import FOREGROUND_ABOVE, Gray, ImageResult, higher_is_better

PANEL = 320  # longer side of each panel, in pixels
MISSED, EXTRA = (60, 60, 230), (230, 120, 30)  # BGR: red is missed, blue is too much
RgbImage = npt.NDArray[np.uint8]


def worst_pairs(scores: Mapping[Pair, ImageResult], metric: str, count: int) -> list[Pair]:
    """The pairs with the worst values of a measure, worst first; undefined ones last."""
    sign = 1 if higher_is_better(metric) else -1

    def badness(pair: Pair) -> tuple[bool, float, Pair]:
        value = scores[pair].values[metric]
        return math.isnan(value), sign * value, pair

    return sorted(scores, key=badness)[:count]


def write_gallery(
    path: Path, scores: Mapping[Pair, ImageResult], metric: str, count: int = 12
) -> None:
    """Draw the worst images into one PNG; errors are drawn after binarising both at > 128.

    Args:
        path: Of the PNG.
        scores: Of each pair.
        metric: By which images are the worst.
        count: Rows; 0 writes nothing.
    """
    rows = [
        draw_row(pair, f"{pair.set}/{pair.name}   {metric} {scores[pair].values[metric]:.4f}")
        for pair in worst_pairs(scores, metric, count)
    ]
    if not rows:
        return
    width = max(row.shape[1] for row in rows)
    padded = [
        cv2.copyMakeBorder(row, 0, 6, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=(90,) * 3)
        for row in rows
    ]
    atomic_write_image(path, np.concatenate(padded)[..., ::-1])  # the rows are BGR


def draw_row(pair: Pair, caption: str) -> RgbImage:
    """Truth, prediction and errors side by side under a caption, BGR."""
    target = read_map(pair.target, pair.target_scale)
    prediction = read_map(pair.map, pair.map_scale)
    scale = PANEL / max(target.shape)
    height, width = (max(1, round(side * scale)) for side in target.shape)
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    if prediction.shape != target.shape:
        prediction = np.asarray(cv2.resize(prediction, target.shape[::-1]), np.uint8)
    panels = [cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR) for gray in (target, prediction)]
    panels.append(error_map(prediction, target))
    row = np.concatenate([cv2.resize(p, (width, height), interpolation=kernel) for p in panels], 1)
    title = np.full((22, max(row.shape[1], 12 * len(caption)), 3), 90, np.uint8)
    cv2.putText(title, caption, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255,) * 3, 1, cv2.LINE_AA)
    row = cv2.copyMakeBorder(
        row, 0, 0, 0, title.shape[1] - row.shape[1], cv2.BORDER_CONSTANT, value=(90,) * 3
    )
    return np.asarray(np.concatenate([title, row]), np.uint8)


def error_map(prediction: Gray, target: Gray) -> RgbImage:
    """What both have in grey, what is missed in red and what is too much in blue, BGR."""
    on, true = prediction > FOREGROUND_ABOVE, target > FOREGROUND_ABOVE
    image = np.zeros((*target.shape, 3), np.uint8)
    image[on & true] = 110
    image[true & ~on] = MISSED
    image[on & ~true] = EXTRA
    return image
