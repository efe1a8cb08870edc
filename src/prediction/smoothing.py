"""Steadies the masks of a video over time."""

import cv2
import numpy as np

# Mean difference of thumbnails, of 255, from which two frames are of different scenes.
_CUT = 40.0
_THUMBNAIL = (32, 32)


class Smoother:
    """Mixes every mask with the ones before it; starts afresh at a cut.

    Args:
        share: Of the mask before, from 0 (off) to below 1. Flicker fades, and so does fast motion.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._before: np.ndarray = np.zeros(())
        self._thumbnail: np.ndarray | None = None

    def __call__(self, mask: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Smooth a uint8 mask `(H, W)` of the frame `(H, W, 3)` that follows the last one."""
        if self.share == 0:
            return mask
        thumbnail = cv2.resize(frame, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        values = mask.astype(np.float32)
        if self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() < _CUT:
            values = self.share * self._before + (1 - self.share) * values
        self._before, self._thumbnail = values, thumbnail
        return (values + 0.5).astype(np.uint8)
