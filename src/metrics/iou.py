"""Intersection over union of thresholded maps."""

import numpy as np
import numpy.typing as npt

from src.metrics.joint_histogram import Counts


def intersection_over_union(on: Counts, area: int) -> npt.NDArray[np.float64]:
    """IoU at each threshold, `(T,)`; 0 where both are empty, as PySODMetrics has it.

    Args:
        on: `(2, T)` background and foreground pixels that threshold `t` turns on.
        area: Foreground pixels of the truth.
    """
    return np.asarray(on[1] / np.maximum(on[0] + area, 1))
