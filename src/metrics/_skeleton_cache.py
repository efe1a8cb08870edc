"""Truths' skeletons on disk, by content: they hang on the target alone, predictions come and go."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from src.metrics._maps import FOREGROUND_ABOVE, Gray, Mask, require_map
from src.metrics.kernels.skeleton import skeletonize

_RULE = b"finecut skeleton 1"  # a new number if `skeletonize` ever gives other skeletons
_SUFFIX = ".skeleton"
_CHECKSUM = 16  # bytes


class SkeletonCache:
    """Calls `skeletonize` once per target and folder.

    Any number of processes may share the folder: a file appears under its name only when whole, and
    one that cannot be read, or is not what was written, is made anew. Targets that differ in their
    pixels > 128 never share one. A file holds a checksum, then the skeleton's rows as bits.

    Args:
        folder: Where to keep the skeletons, made if it is not there; nothing is kept without one.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = None if folder is None else Path(folder)

    def __call__(self, target: Gray) -> Mask:
        """Skeleton `(H, W)` of the pixels > 128 of a uint8 `(H, W)` map."""
        require_map("target", target)
        if self.folder is None:
            return skeletonize(target)
        path = self.folder / f"{_digest(target)}{_SUFFIX}"
        skeleton = _read(path, target.shape)
        if skeleton is None:
            skeleton = skeletonize(target)
            _write(path, skeleton)
        return skeleton


def _digest(target: Gray) -> str:
    bits = np.packbits(target > FOREGROUND_ABOVE, axis=1)
    return hashlib.sha256(_RULE + repr(target.shape).encode() + bits.tobytes()).hexdigest()


def _read(path: Path, shape: tuple[int, ...]) -> Mask | None:
    height, width = shape
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, bits = content[:_CHECKSUM], content[_CHECKSUM:]
    if checksum != _checksum(path, bits) or len(bits) != height * -(-width // 8):
        return None
    rows = np.frombuffer(bits, np.uint8).reshape(height, -1)
    return np.unpackbits(rows, axis=1, count=width).view(np.bool_)


def _write(path: Path, skeleton: Mask) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bits = np.packbits(skeleton, axis=1).tobytes()
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        whole = Path(part.name)
        try:
            part.write(_checksum(path, bits) + bits)
            part.flush()
        except OSError:  # a full disk gets its room back
            whole.unlink()
            raise
    whole.chmod(0o644)  # a temporary file is its owner's alone; the folder may be a team's
    whole.replace(path)


def _checksum(path: Path, bits: bytes) -> bytes:
    """Of the skeleton and its name: neither another's file nor a damaged one is taken for it."""
    return hashlib.blake2b(path.name.encode() + bits, digest_size=_CHECKSUM).digest()
