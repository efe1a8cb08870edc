"""Scores the pairs of two folders on all cores; what is finished survives any interruption."""

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from src.datamodules.images import ImageError
from src.errors import UserError
from src.evaluation.matching import MapPair, Problem
from src.evaluation.read_map import (
    RESIZED,
    SOFT,
    ZERO_ONE,
    is_soft,
    map_size,
    read_map,
    read_target,
    set_scale,
)
from src.hashing import checksum
from src.metrics import Gray, ImageResult, compile_kernels, describe, discard_pool, pool, score_pair
from src.processes import available_cpus
from src.progress import progress_bars
from src.resume_log import ResumeLog

_TYPE, _SHAPE = np.dtype("<u4"), (2, 256)
_BYTES = 4 * 2 * 256


def to_entry(score: ImageResult, notices: Sequence[str]) -> dict[str, Any]:
    """A score and its notices as a resume log keeps them."""
    packed = zlib.compress(score.histogram.astype(_TYPE).tobytes())
    return {
        "values": score.values,
        "notices": list(notices),
        "histogram": base64.b64encode(packed).decode(),
    }


def from_entry(entry: Mapping[str, Any] | None) -> "Outcome | None":
    """What `to_entry` was given; None where an entry is missing or holds something else."""
    if entry is None:
        return None
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
    return ImageResult(values, counts), notices


def key_of(
    map_file: Path,
    target_file: Path,
    metrics: Sequence[str],
    resize: str | None,
    scales: Sequence[int | None] = (),
) -> str:
    """What an image's score depends on: both files' contents and the scales of their sets' levels,
    each metric's protocol, resizing.
    """
    parts = []
    for path in (map_file, target_file):
        parts += [bytes.fromhex(checksum(path.read_bytes(), 32)), path.suffix.lower().encode()]
    parts.append(json.dumps([[describe(name) for name in metrics], resize, *scales]).encode())
    return checksum(parts, 32)


Resize = Literal["prediction"] | None
IN_PLACE = 8  # so few images are scored before a second process has started
READERS = 8

Outcome = tuple[ImageResult, list[str]]


@dataclass
class Scored:
    """What scoring gave.

    Attributes:
        scores: By pair.
        notices: By pair, what its reader should know of it.
        problems: Why the others could not be scored.
        reused: How many scores an earlier run had left.
    """

    scores: dict[MapPair, ImageResult] = field(default_factory=dict)
    notices: dict[MapPair, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reused: int = 0


def headers_are_sound(pairs: Sequence[MapPair], resize: Resize) -> bool:
    """Whether every file's header can be read and shows the size that is wanted."""
    with ThreadPoolExecutor(READERS) as threads:
        return all(threads.map(lambda pair: _header_is_sound(pair, resize), pairs))


def faults(pairs: Sequence[MapPair], resize: Resize) -> list[Problem]:
    """Everything that keeps these pairs from being scored; every file is read."""
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda pair: _read(pair, resize)[1], pairs)
        return [problem for problems in found for problem in problems]


def score_pairs(
    pairs: Sequence[MapPair],
    metrics: Sequence[str],
    journal: ResumeLog,
    resize: Resize = None,
    workers: int | None = None,
    skeletons: Path | None = None,
) -> Scored:
    """Score every pair, and write each into the journal as soon as it is done.

    Args:
        pairs: What to score.
        metrics: Names of metrics.
        journal: Of this output folder.
        resize: `prediction` to bring maps of another size to the target's.
        workers: Processes; None for one per core.
        skeletons: Folder that keeps the skeletons of targets.
    """
    scored, keys = Scored(), {}
    with ThreadPoolExecutor(READERS) as threads:
        digests = threads.map(lambda p: key_of(p.map, p.target, metrics, resize, p[-2:]), pairs)
        for pair, key in zip(pairs, digests, strict=True):
            earlier = from_entry(journal.get(key))
            if earlier is None:
                keys[pair] = key
            else:
                scored.scores[pair], scored.notices[pair] = earlier
    scored.reused = len(scored.scores)
    job = partial(score_files, metrics=list(metrics), resize=resize, skeletons=skeletons)
    with progress_bars() as bar:
        task = bar.add_task("scoring", total=len(pairs), completed=scored.reused)
        for pair, outcome in _outcomes(list(keys), job, metrics, workers):
            bar.advance(task)
            if isinstance(outcome, list):
                scored.problems += outcome
                continue
            scored.scores[pair], scored.notices[pair] = outcome
            journal.add(keys[pair], to_entry(*outcome))
    scored.problems.sort()
    return scored


def with_scales(pairs: Sequence[MapPair]) -> list[MapPair]:
    """The pairs with the scales of their sets: one file alone does not say whether 1 is white."""
    of_set: dict[str, list[MapPair]] = {}
    for pair in pairs:
        of_set.setdefault(pair.set, []).append(pair)
    scales = {
        name: (set_scale(p.map for p in some), set_scale(p.target for p in some))
        for name, some in of_set.items()
    }
    return [
        pair._replace(map_scale=(s := scales[pair.set])[0], target_scale=s[1]) for pair in pairs
    ]


def score_files(
    pair: MapPair, metrics: Sequence[str], resize: Resize, skeletons: Path | None = None
) -> Outcome | list[Problem]:
    """Read and score one pair: its score and notices, or what kept it from being scored."""
    maps, problems = _read(pair, resize)
    if maps is None:
        return problems
    prediction, target = maps
    notices = []
    if prediction.shape != target.shape:
        prediction = np.asarray(cv2.resize(prediction, target.shape[::-1]), np.uint8)
        notices.append(RESIZED)
    if pair.map_scale == 1:
        notices.append(ZERO_ONE)
    if is_soft(target):
        notices.append(SOFT)
    return score_pair(prediction, target, metrics, skeletons=skeletons), notices


def _outcomes(
    pairs: list[MapPair],
    job: Callable[[MapPair], Outcome | list[Problem]],
    metrics: Sequence[str],
    workers: int | None,
) -> Iterator[tuple[MapPair, Outcome | list[Problem]]]:
    """Each pair with its outcome, as they come."""
    if not pairs:
        return
    processes = min(workers or available_cpus(), max(1, len(pairs) // IN_PLACE))
    if processes == 1:
        compile_kernels(metrics, processes)
        yield from ((pair, job(pair)) for pair in pairs)
        return
    try:
        compile_kernels(metrics, processes)
        workforce = pool(processes)
        futures: dict[Future[Outcome | list[Problem]], MapPair] = {
            workforce.submit(job, pair): pair for pair in pairs
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        discard_pool(processes)
        raise UserError(
            "a scoring process was killed, most often for want of memory: run the same command "
            "again with fewer workers=; what is scored is kept"
        ) from None
    except BaseException:
        discard_pool(processes)  # Ctrl-C must not wait for thousands of images
        raise


def _header_is_sound(pair: MapPair, resize: Resize) -> bool:
    try:
        return map_size(pair.map) == map_size(pair.target) or resize is not None
    except ImageError:
        return False


def _read(pair: MapPair, resize: Resize) -> tuple[tuple[Gray, Gray] | None, list[Problem]]:
    """Map and target, or None and why."""
    maps, problems = [], []
    reads = (read_map, pair.map, pair.map_scale), (read_target, pair.target, pair.target_scale)
    for read, path, scale in reads:
        try:
            maps.append(read(path, scale))
        except ImageError as error:
            problems.append(Problem("unreadable", str(error)))
    if problems:
        return None, problems
    prediction, target = maps
    if prediction.shape != target.shape and resize is None:
        (height, width), (true_height, true_width) = prediction.shape, target.shape
        text = (
            f"{pair.map} is {width}x{height}, its target {true_width}x{true_height} "
            "(resize=prediction brings maps to the target's size)"
        )
        return None, [Problem("size", text)]
    return (prediction, target), []
