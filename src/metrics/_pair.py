"""What each per-image measure asks of its two maps."""

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

FOREGROUND_ABOVE = 128  # the field's rule for truths: a pixel is foreground if it is > 128


def require_pair(prediction: Grey, truth: Grey) -> None:
    """Refuse all but two uint8 `(H, W)` maps of one size.

    Raises:
        TypeError: a map is not uint8.
        ValueError: a map is not two-dimensional or has no pixel, or the sizes differ.
    """
    require_map("prediction", prediction)
    require_map("truth", truth)
    if prediction.shape != truth.shape:
        raise ValueError(
            f"prediction is {prediction.shape} but truth is {truth.shape} (rows, columns): "
            "bring the prediction to the truth's size first"
        )


def require_map(name: str, grey: Grey) -> None:
    """Refuse all but one uint8 `(H, W)` map; raises as `require_pair` does."""
    if grey.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8 in 0..255, not {grey.dtype}")
    if grey.ndim != 2 or grey.size == 0:
        raise ValueError(f"{name} must be (H, W) with at least one pixel, not {grey.shape}")
