"""Skeletons of targets on disk, by content: they depend on the target alone."""

from pathlib import Path

import numpy as np

from src.cache import CacheFolder
from src.hashing import bytes_hash
from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask, require_map
from src.metrics.kernels.skeleton import skeletonize

_VERSION = 2  # a new number if `skeletonize` ever gives other skeletons


class SkeletonCache:
    """Calls `skeletonize` once per target and folder, see `CacheFolder`.

    Targets that differ in their pixels > 128 never share an entry, which holds the skeleton's rows
    as bits.

    Args:
        folder: Where to keep the skeletons, made if it is not there; nothing is kept without one.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._kept = None if folder is None else CacheFolder(Path(folder), "skeleton", _VERSION)

    def __call__(self, target: Gray) -> Mask:
        """Skeleton `(H, W)` of the pixels > 128 of a uint8 `(H, W)` map."""
        require_map("target", target)
        if self._kept is None:
            return skeletonize(target)
        # Without a lock: there are thousands of targets, and each is made in a moment.
        packed = self._kept.get_bytes(
            _key(target), lambda: _bits(skeletonize(target)).tobytes(), locked=False
        )
        height, width = target.shape
        rows = np.frombuffer(packed, np.uint8).reshape(height, -1)
        return np.unpackbits(rows, axis=1, count=width).view(np.bool_)


def _key(target: Gray) -> str:
    return bytes_hash((repr(target.shape).encode(), _bits(target > FOREGROUND_ABOVE).data))


def _bits(mask: Mask) -> np.ndarray:
    return np.packbits(mask, axis=1)
