"""Maps as the metrics take them: their types, what is refused, and what gray levels stand for."""

import numpy as np
import numpy.typing as npt

Gray = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Levels = npt.NDArray[np.float64]  # (256,), the value in [0, 1] of each gray level
Curve = npt.NDArray[np.float64]  # a value for each threshold, lowest first

FOREGROUND_ABOVE = 128  # the field's rule for truths: a pixel is foreground if it is > 128
UNKNOWN = 128  # of trimaps
TRIMAP_LEVELS = (0, UNKNOWN, 255)


def require_pair(prediction: Gray, target: Gray) -> None:
    """Refuse all but two uint8 `(H, W)` maps of one size.

    Raises:
        TypeError: a map is not uint8.
        ValueError: a map is not two-dimensional or has no pixel, or the sizes differ.
    """
    require_map("prediction", prediction)
    require_map("target", target)
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction is {prediction.shape} but the target is {target.shape} (rows, columns): "
            "bring the prediction to the target's size first"
        )


def require_map(name: str, gray: Gray) -> None:
    """Refuse all but one uint8 `(H, W)` map; raises as `require_pair` does."""
    if gray.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8 in 0..255, not {gray.dtype}")
    if gray.ndim != 2 or gray.size == 0:
        raise ValueError(f"{name} must be (H, W) with at least one pixel, not {gray.shape}")


def require_trimap(trimap: Gray, target: Gray) -> None:
    """Refuse all but a uint8 map of the target's size whose levels are 0, 128 and 255.

    Raises:
        TypeError: it is not uint8.
        ValueError: its size or its levels are others.
    """
    require_map("trimap", trimap)
    if trimap.shape != target.shape:
        raise ValueError(
            f"trimap is {trimap.shape} but the target is {target.shape} (rows, columns)"
        )
    used = np.flatnonzero(np.bincount(trimap.ravel(), minlength=256))
    if others := [int(level) for level in used if level not in TRIMAP_LEVELS]:
        raise ValueError(
            f"trimap holds the level {others[0]}: 0 is background, 255 foreground, 128 unknown"
        )


def min_max_levels(prediction: Gray) -> Levels:
    """Values `(256,)` of the gray levels by PySODMetrics' rule: `v / 255`, then min-max.

    Entry `v` has the bits that the rule on the whole map would give to a pixel of level `v`. A
    constant map is not stretched. Levels that the map does not hold are clipped to [0, 1].
    """
    values = np.arange(256) / 255
    low, high = values[prediction.min()], values[prediction.max()]
    if low == high:
        return values
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0))


def levels_or_min_max(levels: Levels | None, prediction: Gray) -> Levels:
    """The given table, or that of `min_max_levels` without one.

    Raises:
        ValueError: the table has not 256 entries.
    """
    if levels is None:
        return min_max_levels(prediction)
    if levels.shape != (256,):
        raise ValueError(
            f"levels must hold a value for each of 256 gray levels, not {levels.shape}"
        )
    return np.asarray(levels, np.float64)
