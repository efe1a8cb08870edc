"""GrabCut's error rate (Rother et al. 2004): wrong pixels in percent of an object's tight box."""

import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask
from src.metrics._record import MetricRecord


def error_percent(
    prediction: Gray, target: Gray, void: Gray | None = None, threshold: float = 0.5
) -> float:
    """Wrong pixels, in percent of those in the target's tight box, outside `void`.

    What lies outside the box is not looked at. An empty target has the whole image for a box; a box
    of void alone has no error.

    Args:
        prediction: uint8 `(H, W)`, on above `threshold` × 255.
        target: uint8 `(H, W)`; foreground is > 128.
        void: uint8 `(H, W)`; left out where > 128.
        threshold: In [0, 1).
    """
    true = target > FOREGROUND_ABOVE
    box = _box(true)
    wrong = (prediction[box] / 255 > threshold) != true[box]
    if void is not None:
        wrong = wrong[void[box] <= FOREGROUND_ABOVE]
    return 100 * float(wrong.mean()) if wrong.size else 0.0


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


RECORDS = [
    MetricRecord(
        name="error_percent",
        prediction="8 bit, v/255 > 0.5",
        matching="pixels of the ground truth's tight box outside void",
        score="wrong pixels in percent",
        higher_is_better=False,
        of_image=lambda pair: error_percent(pair.prediction, pair.target, pair.void),
    )
]
