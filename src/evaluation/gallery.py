"""A gallery of the images scored worst: ground truth | prediction | errors, a row each."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from src.atomic import atomic_write_image
from src.evaluation.matching import MapPair
from src.evaluation.read_map import read_map
from src.metrics import FOREGROUND_ABOVE, Gray, ImageResult, higher_is_better, record
from src.visualize import error_map, side_by_side, stack_rows, with_title

PANEL = 320  # longer side of each panel, in pixels


def ranking_metric(metrics: Sequence[str]) -> str:
    """The metric by which images are the worst."""
    return next((m for m in ("s_measure", "max_f", "mae") if m in metrics), metrics[0])


def worst_pairs(scores: Mapping[MapPair, ImageResult], metric: str, count: int) -> list[MapPair]:
    """The pairs with the worst values of a metric, worst first; undefined ones last."""
    sign = 1 if higher_is_better(metric) else -1

    def badness(pair: MapPair) -> tuple[bool, float, MapPair]:
        value = scores[pair].values[metric]
        return math.isnan(value), sign * value, pair

    return sorted(scores, key=badness)[:count]


def write_gallery(
    path: Path, scores: Mapping[MapPair, ImageResult], metric: str, count: int = 12
) -> None:
    """Draw the worst images into one PNG.

    Errors are drawn after binarizing both maps at > 128, but for metrics of soft mattes.

    Args:
        path: Of the PNG.
        scores: Of each pair.
        metric: By which images are the worst.
        count: Rows; 0 writes nothing.
    """
    soft = record(metric).soft_target
    rows = [
        draw_row(pair, f"{pair.set}/{pair.name}   {metric} {scores[pair].values[metric]:.4f}", soft)
        for pair in worst_pairs(scores, metric, count)
    ]
    if rows:
        atomic_write_image(path, stack_rows(rows))


def draw_row(pair: MapPair, caption: str, soft: bool = False) -> np.ndarray:
    """Ground truth, prediction and errors under a caption, uint8 RGB.

    Errors are those of both maps binarized at > 128, or if `soft` of the maps as they are.
    """
    target = read_map(pair.target, pair.target_scale)
    prediction = read_map(pair.map, pair.map_scale)
    scale = PANEL / max(target.shape)
    height, width = (max(1, round(side * scale)) for side in target.shape)
    if prediction.shape != target.shape:
        prediction = np.asarray(cv2.resize(prediction, target.shape[::-1]), np.uint8)
    errors = error_map(*((prediction, target) if soft else map(_binary, (prediction, target))))
    return with_title(side_by_side((target, prediction, errors), height, width), caption)


def _binary(gray: Gray) -> Gray:
    return (gray > FOREGROUND_ABOVE).astype(np.uint8) * np.uint8(255)
