"""Images that are already scored, kept in a file that survives being killed at any moment."""

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from src.line_file import append_line, read_lines
from src.metrics.image_score import ImageScore
from src.metrics.protocol import describe

_TYPE, _SHAPE = np.dtype("<u4"), (2, 256)
_BYTES = 4 * 2 * 256


class Journal:
    """One line per scored image, found again by the contents of its two files and the protocol.

    Args:
        path: Of the file; it is read if it is there. Lines that were cut short or damaged, or hold
            anything but a score, are skipped: those images are scored again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = read_lines(path)
        self._known = {line["key"]: line for line in lines if isinstance(line.get("key"), str)}

    def get(self, key: str) -> tuple[ImageScore, list[str]] | None:
        """Score and notices stored under a key, None where there are none."""
        entry = self._known.get(key)
        return None if entry is None else _outcome(entry)

    def add(self, key: str, score: ImageScore, notices: Sequence[str]) -> None:
        """Append one image; it is in the file when this returns."""
        packed = zlib.compress(score.histogram.astype(_TYPE).tobytes())
        entry = {
            "key": key,
            "values": score.values,
            "notices": list(notices),
            "histogram": base64.b64encode(packed).decode(),
        }
        append_line(self.path, entry)


def _outcome(entry: dict[str, Any]) -> tuple[ImageScore, list[str]] | None:
    """An entry's score and notices; None where it holds something else."""
    values, notices, histogram = (entry.get(k) for k in ("values", "notices", "histogram"))
    if not (isinstance(values, dict) and all(isinstance(v, float) for v in values.values())):
        return None
    if not (isinstance(notices, list) and all(isinstance(text, str) for text in notices)):
        return None
    try:
        unpacker = zlib.decompressobj()
        packed = unpacker.decompress(base64.b64decode(histogram or "", validate=True), _BYTES + 1)
    except (TypeError, ValueError, zlib.error):
        return None
    if len(packed) != _BYTES or not unpacker.eof:
        return None
    counts = np.frombuffer(packed, _TYPE).astype(np.int64).reshape(_SHAPE)
    return ImageScore(values, counts), notices


def key_of(
    map_file: Path,
    truth_file: Path,
    metrics: Sequence[str],
    resize: str | None,
    scales: Sequence[int | None] = (),
) -> str:
    """What an image's score depends on: both files' contents and the scales of their sets' levels,
    each measure's protocol, resizing.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in (map_file, truth_file):
        digest.update(hashlib.blake2b(path.read_bytes(), digest_size=16).digest())
        digest.update(path.suffix.lower().encode())
    digest.update(json.dumps([[describe(name) for name in metrics], resize, *scales]).encode())
    return digest.hexdigest()
