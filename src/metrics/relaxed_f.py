"""Relaxed boundary F-measure of BASNet's and U²-Net's tables (relaxF, Qin et al., CVPR 2019).

No official code is public. These are the author's steps as a user of BASNet copied them (issue 20
of its repository), with the papers' β² = 0.3 and ρ = 3; U²-Net's printed .808 on ECSSD comes out.
Both maps are cut raw at > 127, so that a ground truth of 128 is foreground here, as nowhere else.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from src.metrics._maps import Gray
from src.metrics._record import MetricRecord
from src.metrics.f_measure import BETA_SQUARED

if TYPE_CHECKING:
    from src.metrics._image import ScoredPair

ABOVE = 127
# Columns to each side, in rows 0, 1, 2 and 3 away, at a Euclidean distance of 3 at most.
REACHES = (3, 2, 2, 0)
EPSILON = 1e-8  # in every denominator


def relaxed_precision_recall(prediction: Gray, target: Gray) -> tuple[float, float]:
    """Shares of the boundary pixels of either map that lie within 3 pixels of the other's boundary.

    A boundary is what an erosion by the 3×3 cross takes off, the outside of the image being
    background. Without a boundary a share is 0.

    Args:
        prediction: uint8 `(H, W)`.
        target: uint8 `(H, W)`.

    Returns:
        Precision, of the prediction's boundary, and recall, of the target's.
    """
    # numba, once a map is scored
    from src.metrics.kernels.bits import Words, complement, count, grow_convex, grow_cross, pack

    width = target.shape[1] + 2  # with a frame of background

    def boundary(gray: Gray) -> Words:
        framed = cv2.copyMakeBorder(gray, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        mask = pack(framed > ABOVE)
        return grow_cross(complement(mask, width), mask, 1) & mask

    def near(words: Words) -> Words:
        return grow_convex(words, width, np.array(REACHES))

    ours, theirs = boundary(prediction), boundary(target)
    precision = count(ours & near(theirs)) / (count(ours) + EPSILON)
    recall = count(theirs & near(ours)) / (count(theirs) + EPSILON)
    return precision, recall


def relaxed_f(precision: float, recall: float) -> float:
    """F with β² = 0.3; 0 where both are 0."""
    product = (1 + BETA_SQUARED) * precision * recall
    return product / (BETA_SQUARED * precision + recall + EPSILON)


def _both(pair: "ScoredPair") -> tuple[float, float]:
    return relaxed_precision_recall(pair.prediction, pair.target)


RECORDS = [
    MetricRecord(
        name=name,
        prediction=f"8 bit, > {ABOVE}",
        target=f"ground truth > {ABOVE}",
        matching="boundaries (mask without its 3x3-cross erosion), distance at most 3",
        score=score,
        of_image=of_image,
    )
    for name, score, of_image in (
        (
            "relax_precision",
            "share of the prediction's boundary",
            lambda pair: pair.share(_both)[0],
        ),
        ("relax_recall", "share of the ground truth's boundary", lambda pair: pair.share(_both)[1]),
        (
            "relax_f",
            "relaxed boundary F, beta^2 0.3",
            lambda pair: relaxed_f(*pair.share(_both)),
        ),
    )
]
