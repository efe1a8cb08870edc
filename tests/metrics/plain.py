"""The metrics as their papers' code words them: slow, plain, and the judge of the fast ones."""

import cv2
import numpy as np
from skimage.measure import label
from skimage.morphology import skeletonize

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

Points = list[tuple[int, int]]


def hce(
    prediction: np.ndarray,
    target: np.ndarray,
    skeleton: np.ndarray | None = None,
    relax: int = 5,
    epsilon: float = 2.0,
) -> tuple[int, int, int, int]:
    """Human correction efforts of two boolean maps: (fp points, fp regions, fn points, fn regions).

    Qin et al., "Highly Accurate Dichotomous Image Segmentation", ECCV 2022, section 4.
    """
    skeleton = skeletonize(target) if skeleton is None else skeleton
    hit, extra, missed = target & prediction, prediction & ~target, target & ~prediction
    core = cv2.erode((target | prediction).astype(np.uint8), CROSS, iterations=relax) > 0
    extra = extra & _regrow(extra & core, ~target, relax)
    missed = missed & _regrow(missed & core, ~prediction, relax)
    missed |= skeleton & ~hit
    fp = _efforts(extra, hit | missed, epsilon)
    fn = _efforts(missed, ~(hit | extra | missed), epsilon)
    return *fp, *fn


def _regrow(seed: np.ndarray, within: np.ndarray, steps: int) -> np.ndarray:
    for _ in range(steps):
        seed = (cv2.dilate(seed.astype(np.uint8), CROSS) > 0) & within
    return seed


def _efforts(area: np.ndarray, beside: np.ndarray, epsilon: float) -> tuple[int, int]:
    """Control points on the area's boundary with `beside`, and regions that do not touch it."""
    contours, _ = cv2.findContours(area.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    touching = cv2.dilate(beside.astype(np.uint8), CROSS) > 0
    regions = label(area, connectivity=2)
    alone = set(np.unique(regions)[1:].tolist())  # the smallest label is taken for the background
    seen = np.zeros(area.shape, bool)
    points = 0
    for contour in contours:
        for run in _runs(contour[:, 0].tolist(), touching, seen, regions, alone):
            curve = np.array(run, np.int32)[:, None]
            points += len(cv2.approxPolyDP(curve, epsilon, False))
    return points, len(alone)


def _runs(
    contour: Points,
    touching: np.ndarray,
    seen: np.ndarray,
    regions: np.ndarray,
    alone: set[int],
) -> list[Points]:
    """Unbroken runs of a contour's points that touch and that no run holds yet."""
    runs: list[Points] = [[]]
    for x, y in contour:
        if touching[y, x] and not seen[y, x]:
            seen[y, x] = True
            alone.discard(int(regions[y, x]))
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    runs = [run for run in runs if run]
    if len(runs) > 1:
        (x0, y0), (x1, y1) = runs[0][0], runs[-1][-1]
        if max(abs(x0 - x1), abs(y0 - y1)) == 1:  # the authors join them end to end like this
            runs[-1] += runs.pop(0)[::-1]
    return runs


def mba(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean boundary accuracy of two boolean maps (Cheng et al., CascadePSP, CVPR 2020)."""
    height, width = target.shape
    scores = []
    for step in range(5):
        radius = 1 + int(((width + height) / 300 - 1) / 5 * step)
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        near = cv2.morphologyEx(target.astype(np.uint8), cv2.MORPH_GRADIENT, disk) > 0
        scores.append((prediction == target)[near].mean() if near.any() else np.nan)
    return float(np.mean(scores))


def inner_boundary(gray: np.ndarray) -> np.ndarray:
    """What an erosion of 2 % of the diagonal takes away; the outside counts as background."""
    radius = max(1, round(0.02 * float(np.hypot(*gray.shape))))
    framed = cv2.copyMakeBorder(gray, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=radius)
    return gray - eroded[1:-1, 1:-1]


def boundary_iou(prediction: np.ndarray, target: np.ndarray) -> float:
    """Boundary IoU of two boolean maps (Cheng et al., CVPR 2021)."""
    ours, theirs = (inner_boundary(mask.astype(np.uint8)) > 0 for mask in (prediction, target))
    return float((ours & theirs).sum() / max(1, (ours | theirs).sum()))


def boundary_iou_curve(levels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """InSPyReNet's form: 256 thresholds of the gray boundary of a stretched uint8 map."""
    ours, theirs = inner_boundary(levels), inner_boundary(target.astype(np.uint8)) > 0
    masks = [ours >= threshold for threshold in range(255, -1, -1)]
    return np.array([(m & theirs).sum() / max(1, (m | theirs).sum()) for m in masks])
