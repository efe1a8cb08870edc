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


def levels_or_min_max(levels: Levels | None, prediction: Grey) -> Levels:
    """The given table, or that of `min_max_levels` without one.

    Raises:
        ValueError: the table has not 256 entries.
    """
    if levels is None:
        return min_max_levels(prediction)
    if levels.shape != (256,):
        raise ValueError(
            f"levels must hold a value for each of 256 grey levels, not {levels.shape}"
        )
    return np.asarray(levels, np.float64)
