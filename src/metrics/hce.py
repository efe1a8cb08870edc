"""Human correction efforts (Qin et al., "Highly Accurate Dichotomous Image Segmentation", ECCV
2022): how many polygon points to draw and regions to click to turn a prediction into the truth.

`human_correction_efforts` is the authors' protocol; `human_correction_efforts_pysod` is that of
PySODMetrics. Their numbers differ: report them under different names (`hce`, `hce_pysod`).
"""

import cv2
import numpy as np
import numpy.typing as npt

from src.metrics.joint_histogram import FOREGROUND_ABOVE, Gray, Mask, min_max_levels, require_pair
from src.metrics.kernels.bits import Words, complement, count, grow_cross, pack, unpack
from src.metrics.kernels.corrections import count_corrections
from src.metrics.kernels.skeleton import thin

Efforts = tuple[int, int, int, int]


def human_correction_efforts(
    prediction: Gray,
    target: Gray,
    skeleton: npt.NDArray[np.bool_] | Gray | None = None,
    relax: int = 5,
    epsilon: float = 2.0,
) -> Efforts:
    """Points and regions to correct, by the authors' protocol: both maps binarised at > 128.

    HCE is the sum of the four numbers. The sizes are the originals': it grows with resolution.

    Args:
        prediction: uint8 `(H, W)`.
        truth: uint8 `(H, W)`.
        skeleton: Pixels of the truth's structure that must not be missed, `(H, W)`; by default
            `skeletonize(truth)`.
        relax: Errors that vanish under this many erosions are forgiven.
        epsilon: Tolerance of the drawn polygons, in pixels.

    Returns:
        Points and regions of false positives, then of false negatives.

    Raises:
        TypeError: a map is not uint8.
        ValueError: the maps are not two-dimensional or their sizes differ.
    """
    require_pair(prediction, target)
    return _efforts(prediction > FOREGROUND_ABOVE, target, skeleton, relax, epsilon)


def human_correction_efforts_pysod(
    prediction: Gray,
    target: Gray,
    skeleton: npt.NDArray[np.bool_] | Gray | None = None,
    relax: int = 5,
    epsilon: float = 2.0,
) -> Efforts:
    """PySODMetrics' variant: the prediction is stretched to [0, 1] and binarised at > 0.5.

    It also counts a wrong region that fills the whole image, which the authors' code does not.
    Arguments and errors are those of `human_correction_efforts`.
    """
    require_pair(prediction, target)
    mask = (min_max_levels(prediction) > 0.5)[prediction]
    efforts = _efforts(mask, target, skeleton, relax, epsilon)
    foreground = target > FOREGROUND_ABOVE
    if mask.all() and not foreground.any():
        return 0, 1, 0, 0
    if foreground.all() and not mask.any():
        return 0, 0, 0, 1
    return efforts


def _efforts(
    mask: Mask,
    target: Gray,
    skeleton: npt.NDArray[np.bool_] | Gray | None,
    relax: int,
    epsilon: float,
) -> Efforts:
    width = target.shape[1]
    theirs, ours = pack(target > FOREGROUND_ABOVE), pack(mask)
    hit = ours & theirs
    extra, missed = _relaxed_errors(ours, theirs, width, relax)
    missed |= _structure(theirs, target.shape, skeleton) & ~hit
    fp = _corrections(extra, hit | missed, width, epsilon)
    fn = _corrections(missed, complement(hit | extra | missed, width), width, epsilon)
    return *fp, *fn


def _relaxed_errors(ours: Words, theirs: Words, width: int, relax: int) -> tuple[Words, Words]:
    """False positives and false negatives without those that hug a correct boundary."""
    not_ours, not_theirs = complement(ours, width), complement(theirs, width)
    everywhere = not_ours | ours
    rim = grow_cross(not_ours & not_theirs, everywhere, relax)  # what erosions take of the union
    extra, missed = ours & not_theirs, theirs & not_ours
    return (
        extra & grow_cross(extra & ~rim, not_theirs, relax),
        missed & grow_cross(missed & ~rim, not_ours, relax),
    )


def _structure(
    target: Words, shape: tuple[int, ...], skeleton: npt.NDArray[np.bool_] | Gray | None
) -> Words:
    if skeleton is None:
        thinned = target.copy()
        thin(thinned)
        return thinned
    if skeleton.shape != shape:
        raise ValueError(f"skeleton is {skeleton.shape} but truth is {shape} (rows, columns)")
    return pack(skeleton)


def _corrections(area: Words, beside: Words, width: int, epsilon: float) -> tuple[int, int]:
    """Points to draw where an area meets `beside`, and regions of the area that nowhere do."""
    rows = np.flatnonzero(area.any(axis=1))
    if not rows.size:
        return 0, 0
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    band = unpack(area[top - 1 : bottom + 1], width)
    contours, hierarchy = cv2.findContours(
        band, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE, offset=(0, top - 1)
    )
    points = np.concatenate(contours).reshape(-1, 2).astype(np.int32, copy=False)
    ends = np.cumsum([len(contour) for contour in contours])
    parents = hierarchy[0, :, 3].astype(np.int64)
    touching = grow_cross(beside, np.full_like(beside, ~np.uint64(0)), 1)
    vertices, alone = count_corrections(points, ends, parents, touching, epsilon)
    if count(area) == width * (len(area) - 2):
        alone = 0  # the authors' labels of a map without background start at what they leave out
    return int(vertices), int(alone)
