"""Truths' skeletons on disk, by content: they hang on the truth alone, predictions come and go."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from ._pair import FOREGROUND_ABOVE, Grey, Mask, require_map
from .skeleton import skeletonize

_RULE = b"finecut skeleton 1"  # a new number if `skeletonize` ever gives other skeletons


class SkeletonCache:
    """Calls `skeletonize` once per truth and folder.

    Any number of processes may share the folder: a file appears under its name only when whole, and
    one that cannot be read is made anew. Truths that differ in their pixels > 128 never share one.

    Args:
        folder: Where to keep the skeletons, made if it is not there; nothing is kept without one.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = None if folder is None else Path(folder)

    def __call__(self, truth: Grey) -> Mask:
        """Skeleton `(H, W)` of the pixels > 128 of a uint8 `(H, W)` map."""
        require_map("truth", truth)
        if self.folder is None:
            return skeletonize(truth)
        path = self.folder / f"{_digest(truth)}.npy"
        skeleton = _read(path, truth.shape)
        if skeleton is None:
            skeleton = skeletonize(truth)
            _write(path, skeleton)
        return skeleton


def _digest(truth: Grey) -> str:
    bits = np.packbits(truth > FOREGROUND_ABOVE, axis=1)
    return hashlib.sha256(_RULE + repr(truth.shape).encode() + bits.tobytes()).hexdigest()


def _read(path: Path, shape: tuple[int, ...]) -> Mask | None:
    height, width = shape
    try:
        bits = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if bits.dtype != np.uint8 or bits.shape != (height, -(-width // 8)):
        return None
    return np.unpackbits(bits, axis=1, count=width).view(np.bool_)


def _write(path: Path, skeleton: Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        whole = Path(part.name)
        try:
            np.save(part, np.packbits(skeleton, axis=1))
            part.flush()
        except OSError:  # a full disk gets its room back
            whole.unlink()
            raise
    whole.chmod(0o644)  # a temporary file is its owner's alone; the folder may be a team's
    whole.replace(path)
