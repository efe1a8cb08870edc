"""The score of a pair of files as a resume log keeps it, and what of it holds for a later call.

A score is found by the contents of its two files. Each metric's value stands beside its protocol,
so that a call that asks for other metrics takes over those that are there, computes from the
histogram what follows from it, and scores the images by the rest alone.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from src.datamodules.mask_levels import Scale
from src.errors import CommandError
from src.evaluation.matching import MapPair
from src.hashing import checksum
from src.metrics import Curve, ImageResult, describe, record, score_histograms

_TYPE, _SHAPE = np.dtype("<u4"), (2, 256)
_NUMBER = np.dtype("<f8")
_BYTES = 4 * 2 * 256
_FORMAT = 2  # of an entry; it is part of the key, so that older entries are not found

Resize = Literal["prediction"] | None


class Outcome(NamedTuple):
    """What a pair of files gave.

    Attributes:
        score: None where the other files of the set have to say first what the levels mean.
        notices: What the reader of the number should know.
        scales: Of the levels of map and target.
    """

    score: ImageResult | None
    notices: list[str]
    scales: tuple[Scale | None, Scale | None]


def to_entry(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a resume log keeps it."""
    scales = [None if scale is None else list(scale) for scale in outcome.scales]
    if outcome.score is None:
        return {"scales": scales}
    # The fastest level: most of a histogram is zeros, which all of them find.
    packed = zlib.compress(outcome.score.histogram.astype(_TYPE).tobytes(), 1)
    return {
        "scales": scales,
        "values": outcome.score.values,
        "protocols": {name: _protocol(name) for name in outcome.score.values},
        "notices": list(outcome.notices),
        "histogram": base64.b64encode(packed).decode(),
        "kept": {name: _packed(numbers) for name, numbers in outcome.score.kept.items()},
    }


def from_entry(entry: Mapping[str, Any] | None) -> Outcome | None:
    """What `to_entry` was given; None where an entry is missing or holds something else.

    Values of another protocol than today's are left out.
    """
    if entry is None or (scales := _scales(entry.get("scales"))) is None:
        return None
    if not {"values", "notices", "histogram"} & entry.keys():
        return Outcome(None, [], scales)
    values, notices, histogram = (entry.get(k) for k in ("values", "notices", "histogram"))
    if not (isinstance(values, dict) and all(isinstance(v, float) for v in values.values())):
        return None
    protocols = entry.get("protocols")
    if not isinstance(protocols, dict):
        return None
    values = {name: v for name, v in values.items() if protocols.get(name) == _protocol(name)}
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
    if (kept := _kept(entry.get("kept"))) is None:
        return None
    return Outcome(ImageResult(values, counts, kept=kept), notices, scales)


def complete(stored: Outcome, metrics: Sequence[str]) -> tuple[Outcome, list[str]]:
    """What is stored with all that follows from it, and the metrics that are still to be scored."""
    if stored.score is None:
        return stored, []
    score = stored.score
    lacking = [name for name in metrics if name not in score.values]
    derived = [name for name in lacking if record(name).of_histogram is not None]
    if derived:
        (found,) = score_histograms(derived, [score.histogram])
        score = replace(score, values=score.values | found.values)
    return stored._replace(score=score), [name for name in lacking if name not in derived]


def join(stored: Outcome | None, added: Outcome) -> Outcome:
    """What was stored of a pair and what was scored since, as one."""
    if stored is None or stored.score is None or added.score is None:
        return added
    old, new = stored.score, added.score
    values = old.values | new.values
    return added._replace(score=replace(new, values=values, kept={**old.kept, **new.kept}))


def asked_for(score: ImageResult, metrics: Sequence[str]) -> ImageResult:
    """A score with these metrics alone, in their order."""
    return replace(score, values={name: score.values[name] for name in metrics})


def _protocol(name: str) -> str:
    """What tells two protocols apart; a metric that there is no more has none."""
    try:
        return _checksum(describe(name))
    except CommandError:
        return ""


@cache
def _checksum(protocol: str) -> str:
    """Once for all images."""
    return checksum(protocol.encode(), 16)


def _packed(numbers: Curve) -> str:
    """Numbers as text, to the last bit."""
    return base64.b64encode(numbers.astype(_NUMBER).tobytes()).decode()


def _kept(stored: Any) -> dict[str, Curve] | None:
    """What is kept by name; None where it is no numbers."""
    if not isinstance(stored, dict):
        return None
    try:
        return {
            name: np.frombuffer(base64.b64decode(text, validate=True), _NUMBER).astype(np.float64)
            for name, text in stored.items()
        }
    except (TypeError, ValueError):
        return None


def _scales(given: Any) -> tuple[Scale | None, Scale | None] | None:
    """Two scales, each `[least, most]` or null; None for something else."""
    if not (isinstance(given, list) and len(given) == 2):
        return None
    for one in given:
        sound = isinstance(one, list) and len(one) == 2 and all(type(n) is int for n in one)
        if not (one is None or sound):
            return None
    ours, theirs = (None if one is None else Scale(*one) for one in given)
    return ours, theirs


class PairContent(NamedTuple):
    """The bytes of a pair's files."""

    map: bytes
    target: bytes
    trimap: bytes | None = None


def key_of(pair: MapPair, content: PairContent, resize: Resize) -> str:
    """What a pair's histogram and values depend on: all files' contents and kinds, resizing, and
    the scales of the sets' levels where the pair has them.
    """
    parts = []
    for path, data in zip((pair.map, pair.target, pair.trimap), content, strict=True):
        if path is not None and data is not None:
            parts += [bytes.fromhex(checksum(data, 32)), path.suffix.lower().encode()]
    parts.append(json.dumps([_FORMAT, resize, pair.map_scale, pair.target_scale]).encode())
    return checksum(parts, 32)
