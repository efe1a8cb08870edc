"""The steps of the human correction efforts: relaxed errors, the structure, points and regions."""

import cv2
import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask
from src.metrics.kernels.bits import Words, complement, count, grow_cross, pack, unpack
from src.metrics.kernels.corrections import count_corrections
from src.metrics.kernels.skeleton import thin

Efforts = tuple[int, int, int, int]


def count_efforts(
    mask: Mask,
    target: Gray,
    skeleton: npt.NDArray[np.bool_] | Gray | None,
    relax: int,
    epsilon: float,
) -> Efforts:
    """Points and regions of false positives, then of false negatives.

    Args:
        mask: The prediction's foreground, `(H, W)`.
        target: uint8 `(H, W)`; foreground is > 128.
        skeleton: Pixels of the target's structure that must not be missed; None to thin it here.
        relax: Errors that vanish under this many erosions are forgiven.
        epsilon: Tolerance of the drawn polygons, in pixels.
    """
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
        raise ValueError(f"skeleton is {skeleton.shape} but the target is {shape} (rows, columns)")
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
