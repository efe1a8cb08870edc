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


class Journal:
    """One line per scored image, found again by the contents of its two files and the protocol.

    Args:
        path: Of the file; it is read if it is there. A line that a kill cut short is skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        needed = {"key", "values", "histogram", "notices"}
        lines = (line for line in read_lines(path) if needed <= line.keys())
        self._known: dict[str, dict[str, Any]] = {line["key"]: line for line in lines}

    def get(self, key: str) -> tuple[ImageScore, list[str]] | None:
        """Score and notices stored under a key, None where there are none."""
        entry = self._known.get(key)
        if entry is None:
            return None
        packed = zlib.decompress(base64.b64decode(entry["histogram"]))
        histogram = np.frombuffer(packed, "<u4").astype(np.int64).reshape(2, 256)
        return ImageScore(entry["values"], histogram), entry["notices"]

    def add(self, key: str, score: ImageScore, notices: Sequence[str]) -> None:
        """Append one image; it is in the file when this returns."""
        packed = zlib.compress(score.histogram.astype("<u4").tobytes())
        entry = {
            "key": key,
            "values": score.values,
            "notices": list(notices),
            "histogram": base64.b64encode(packed).decode(),
        }
        append_line(self.path, entry)


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
