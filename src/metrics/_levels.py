"""Predictions stretched to [0, 1]: a table over the 256 grey levels instead of a map of floats."""

import numpy as np
import numpy.typing as npt

from ._pair import Grey

Levels = npt.NDArray[np.float64]


def min_max_levels(prediction: Grey) -> Levels:
    """Values `(256,)` of the grey levels by PySODMetrics' rule: `v / 255`, then min-max.

    Entry `v` has the bits that the rule on the whole map would give to a pixel of level `v`. A
    constant map is not stretched. Levels that the map does not hold are clipped to [0, 1].
    """
    values = np.arange(256) / 255
    low, high = values[prediction.min()], values[prediction.max()]
    if low == high:
        return values
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0))
