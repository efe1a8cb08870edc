"""Human correction efforts (Qin et al., "Highly Accurate Dichotomous Image Segmentation", ECCV
2022): how many polygon points to draw and regions to click to turn a prediction into the target.

`human_correction_efforts` is the authors' protocol; `human_correction_efforts_pysod` is that of
PySODMetrics. Their numbers differ: report them under different names (`hce`, `hce_pysod`).
"""

import numpy as np
import numpy.typing as npt

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask, min_max_levels, require_pair
from src.metrics._record import BINARY, STRETCHED, MetricRecord

Efforts = tuple[int, int, int, int]


def human_correction_efforts(
    prediction: Gray,
    target: Gray,
    skeleton: npt.NDArray[np.bool_] | Gray | None = None,
    relax: int = 5,
    epsilon: float = 2.0,
) -> Efforts:
    """Points and regions to correct, by the authors' protocol: both maps binarized at > 128.

    HCE is the sum of the four numbers. The sizes are the originals': it grows with resolution.

    Args:
        prediction: uint8 `(H, W)`.
        truth: uint8 `(H, W)`.
        skeleton: Pixels of the target's structure that must not be missed, `(H, W)`; by default
            `skeletonize(target)`.
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
    """PySODMetrics' variant: the prediction is stretched to [0, 1] and binarized at > 0.5.

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
    from src.metrics.kernels.efforts import count_efforts  # numba, once a map is scored

    return count_efforts(mask, target, skeleton, relax, epsilon)


_EFFORTS = "relax 5, epsilon 2.0"
RECORDS = [
    MetricRecord(
        name="hce",
        prediction=BINARY,
        score=f"human correction efforts, {_EFFORTS}",
        higher_is_better=False,
        counts=True,
        of_image=lambda pair: sum(
            human_correction_efforts(pair.prediction, pair.target, pair.skeleton)
        ),
    ),
    MetricRecord(
        name="hce_pysod",
        prediction=f"{STRETCHED}, > 0.5",
        score=f"human correction efforts by PySODMetrics, {_EFFORTS}",
        higher_is_better=False,
        counts=True,
        of_image=lambda pair: sum(
            human_correction_efforts_pysod(pair.prediction, pair.target, pair.skeleton)
        ),
    ),
]
