"""The metrics as their papers' code words them: slow, plain, and the judge of the fast ones."""

from itertools import pairwise

import cv2
import numpy as np
from scipy import ndimage
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


def edge(mask: np.ndarray) -> np.ndarray:
    """Where a Sobel derivative of a boolean map is not zero; outside it is False."""
    derivatives = (ndimage.sobel(mask.astype(float), axis, mode="constant") for axis in (0, 1))
    return np.logical_or(*(derivative != 0 for derivative in derivatives))


def multi_scale_iou(prediction: np.ndarray, target: np.ndarray) -> float:
    """Multi-scale IoU of two boolean maps (Ahmadzadeh et al., ICIP 2021)."""
    ours, theirs = edge(prediction), edge(target)
    ratios = []
    for scale in 2 ** np.arange(10):
        a, b = (_cells(one, int(scale)) for one in (ours, theirs))
        ratios.append(((a & b).sum() + 1) / (b.sum() + 1))
    return float(np.mean([(a + b) / 2 for a, b in pairwise(ratios)]))


def _cells(mask: np.ndarray, scale: int) -> np.ndarray:
    height, width = mask.shape
    padded = np.pad(mask, ((-height % scale, 0), (-width % scale, 0)))
    rows, columns = padded.shape
    cells = padded.reshape(rows // scale, scale, columns // scale, scale)
    return np.asarray(cells.any(axis=(1, 3)))


def relaxed_f(prediction: np.ndarray, target: np.ndarray) -> float:
    """Relaxed boundary F of two boolean maps, 3 pixels, β² = 0.3."""

    def boundary(mask: np.ndarray) -> np.ndarray:
        return mask & ~ndimage.binary_erosion(mask)  # the cross; outside is False

    def share(some: np.ndarray, other: np.ndarray) -> float:
        if not other.any():
            return 0.0
        near = ndimage.distance_transform_edt(~other) <= 3
        return float(near[some].sum() / (some.sum() + 1e-8))

    ours, theirs = boundary(prediction), boundary(target)
    precision, recall = share(ours, theirs), share(theirs, ours)
    return 1.3 * precision * recall / (0.3 * precision + recall + 1e-8)


def context(prediction: np.ndarray, target: np.ndarray) -> float:
    """Context measure of values in [0, 1] and a boolean map (Wang et al., arXiv 2512.07076)."""
    if not target.any() or not prediction.any():
        return 0.0
    points = np.argwhere(target)
    covariance, reach = np.diag([0.25, 0.25]), [1, 1]
    if len(points) > 1:
        covariance = np.cov(points.T.astype(float))
        variances = np.where(np.diag(covariance) == 0, np.spacing(1), np.diag(covariance))
        np.fill_diagonal(covariance, variances)
        reach = [round(18 * float(np.sqrt(v / variances.sum()))) for v in variances]
        covariance = 36 * covariance / variances.sum()
    rows, columns = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    offsets = np.stack([rows, columns], axis=-1)
    form = np.einsum("ija,ab,ijb->ij", offsets, np.linalg.inv(covariance), offsets)
    kernel = np.exp(-form / 2)
    kernel /= kernel.sum()
    around_target, around_prediction = (
        ndimage.correlate(one.astype(float), kernel, mode="mirror") for one in (target, prediction)
    )
    forward = (around_target * prediction).sum() / prediction.sum()
    covered = (1 - np.exp(-around_prediction))[target].sum() / target.sum()
    reverse = np.e / (np.e - 1) * covered
    return float(2 * forward * reverse / (forward + reverse))


def gradient_error(prediction: np.ndarray, target: np.ndarray) -> float:
    """Gradient error of two mattes in [0, 1], as GFM and P3M divide it."""
    ours, theirs = (
        np.hypot(*(ndimage.gaussian_filter(alpha, 1.4, order) for order in ((1, 0), (0, 1))))
        for alpha in (prediction, target)
    )
    return float(((ours - theirs) ** 2).sum() / 10)


def connectivity_error(prediction: np.ndarray, target: np.ndarray) -> float:
    """Connectivity error of two mattes in [0, 1], in thousands (Rhemann et al., CVPR 2009)."""
    steps = np.arange(0, 1.1, 0.1)
    last = np.full(target.shape, -1, np.float32)
    for before, step in pairwise(steps):
        parts = label((prediction >= step) & (target >= step), connectivity=1)
        if not parts.any():
            continue
        largest = parts == 1 + np.argmax(np.bincount(parts[parts > 0])[1:])
        last[(last == -1) & ~largest] = before
    last[last == -1] = 1

    def degree(alpha: np.ndarray) -> np.ndarray:
        above = alpha - last
        return np.asarray(1 - above * (above >= 0.15))

    return float(np.abs(degree(prediction) - degree(target)).sum() / 1000)
