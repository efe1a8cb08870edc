"""Scores the pairs of two folders on all cores; what is finished survives any interruption.

Each file is read once: its bytes are hashed here, which says whether an earlier run has scored it,
and decoded by the process that scores it.
"""

import base64
import json
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from src.datamodules.images import ImageError
from src.datamodules.mask_levels import Scale
from src.errors import UserError
from src.evaluation.matching import MapPair, Problem
from src.evaluation.read_map import (
    RESIZED,
    SOFT,
    ZERO_ONE,
    MapFile,
    full_scale,
    is_soft,
    map_size,
)
from src.hashing import checksum
from src.metrics import (
    Curve,
    Gray,
    ImageResult,
    compile_kernels,
    describe,
    discard_pool,
    pool,
    record,
    score_pair,
)
from src.processes import available_cpus
from src.progress import progress_bars
from src.resume_log import ResumeLog

_TYPE, _SHAPE = np.dtype("<u4"), (2, 256)
_NUMBER = np.dtype("<f8")
_BYTES = 4 * 2 * 256

Resize = Literal["prediction"] | None
IN_PLACE = 8  # so few images are scored before a second process has started
READERS = 8
READ_AHEAD = 16  # pairs whose files are in memory before anyone asks for them
WAITING_PER_WORKER = 3


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
    packed = zlib.compress(outcome.score.histogram.astype(_TYPE).tobytes())
    return {
        "scales": scales,
        "values": outcome.score.values,
        "notices": list(outcome.notices),
        "histogram": base64.b64encode(packed).decode(),
        "kept": {name: _packed(numbers) for name, numbers in outcome.score.kept.items()},
    }


def from_entry(entry: Mapping[str, Any] | None) -> Outcome | None:
    """What `to_entry` was given; None where an entry is missing or holds something else."""
    if entry is None or (scales := _scales(entry.get("scales"))) is None:
        return None
    if not {"values", "notices", "histogram"} & entry.keys():
        return Outcome(None, [], scales)
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
    if (kept := _kept(entry.get("kept"))) is None:
        return None
    return Outcome(ImageResult(values, counts, kept=kept), notices, scales)


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
    """The bytes of a pair's two files."""

    map: bytes
    target: bytes


def key_of(pair: MapPair, content: PairContent, metrics: Sequence[str], resize: Resize) -> str:
    """What a pair's score depends on: both files' contents and kinds, each metric's protocol,
    resizing, and the scales of the sets' levels where the pair has them.
    """
    parts = []
    for path, data in zip((pair.map, pair.target), content, strict=True):
        parts += [bytes.fromhex(checksum(data, 32)), path.suffix.lower().encode()]
    scales = [pair.map_scale, pair.target_scale]
    parts.append(json.dumps([[describe(name) for name in metrics], resize, *scales]).encode())
    return checksum(parts, 32)


@dataclass
class Scored:
    """What scoring gave.

    Attributes:
        scores: By pair, which now has the scales of its set.
        notices: By pair, what its reader should know of it.
        problems: Why the others could not be scored.
        reused: How many scores an earlier run had left.
    """

    scores: dict[MapPair, ImageResult] = field(default_factory=dict)
    notices: dict[MapPair, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reused: int = 0


def header_faults(pairs: Sequence[MapPair], resize: Resize) -> list[Problem]:
    """What the first bytes of the files say against scoring these pairs."""
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda pair: _header_faults(pair, resize), pairs)
        return [problem for problems in found for problem in problems]


def faults(pairs: Sequence[MapPair], resize: Resize) -> list[Problem]:
    """Everything that keeps these pairs from being scored; every file is read."""
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda pair: _faults(pair, resize), pairs)
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

    One file alone does not say whether its 1 is white. A pair of which such a file is part is
    scored last, once all others have been seen; only its files are read again.

    Args:
        pairs: What to score.
        metrics: Names of metrics.
        journal: Of this output folder.
        resize: `prediction` to bring maps of another size to the target's.
        workers: Processes; None for one per core.
        skeletons: Folder that keeps the skeletons of targets.
    """
    job = partial(score_files, metrics=list(metrics), resize=resize, skeletons=skeletons)
    found: dict[MapPair, Outcome] = {}
    scored = Scored()
    with progress_bars() as bar:
        task = bar.add_task("scoring", total=len(pairs))

        def unscored(some: Sequence[MapPair]) -> Iterator[_Task]:
            """Those that no earlier run has scored; the scores of the others are taken over."""
            for pair, content in _contents(some):
                if not isinstance(content, PairContent):
                    scored.problems += content
                    bar.advance(task)
                    continue
                key = key_of(pair, content, metrics, resize)
                earlier = from_entry(journal.get(key))
                if earlier is None:
                    yield _Task(pair, content, key)
                    continue
                found[pair] = earlier
                if earlier.score is not None:
                    scored.reused += 1
                    bar.advance(task)

        def score(some: Sequence[MapPair]) -> None:
            for (pair, _, key), outcome in _outcomes(
                unscored(some), len(some), job, metrics, workers
            ):
                if isinstance(outcome, list):
                    scored.problems += outcome
                    bar.advance(task)
                    continue
                found[pair] = outcome
                journal.add(key, to_entry(outcome))
                if outcome.score is not None:
                    bar.advance(task)

        score(pairs)
        scales = _of_sets(found)
        waiting = [pair for pair in found if found[pair].score is None]
        score([_in_scale(pair, *scales[pair.set]) for pair in waiting])
    for pair, (of_pair, notices, _) in found.items():
        if of_pair is not None:
            pair = _in_scale(pair, *scales[pair.set])
            scored.scores[pair] = of_pair
            scored.notices[pair] = [*notices, ZERO_ONE] if pair.map_scale == 1 else notices
    scored.problems.sort()
    return scored


def _of_sets(found: Mapping[MapPair, Outcome]) -> dict[str, tuple[int | None, int | None]]:
    """The full scales of maps and of targets of each data set."""
    of_set: dict[str, list[tuple[Scale | None, Scale | None]]] = {}
    for pair, outcome in found.items():
        of_set.setdefault(pair.set, []).append(outcome.scales)
    return {
        name: (full_scale(ours for ours, _ in some), full_scale(theirs for _, theirs in some))
        for name, some in of_set.items()
    }


def _in_scale(pair: MapPair, of_maps: int | None, of_targets: int | None) -> MapPair:
    return pair._replace(map_scale=of_maps, target_scale=of_targets)


def score_files(
    pair: MapPair,
    content: PairContent,
    metrics: Sequence[str],
    resize: Resize,
    skeletons: Path | None = None,
) -> Outcome | list[Problem]:
    """Decode and score one pair, or say what kept it from being scored."""
    files = _decoded(pair, content)
    if isinstance(files, list):
        return files
    scales = files[0].scale, files[1].scale
    of_sets = pair.map_scale, pair.target_scale
    if any(f.waits_for_its_set and known is None for f, known in zip(files, of_sets, strict=True)):
        return Outcome(None, [], scales)
    maps = _maps(pair, files, resize)
    if isinstance(maps, list):
        return maps
    prediction, target = maps
    notices = []
    if prediction.shape != target.shape:
        prediction = np.asarray(cv2.resize(prediction, target.shape[::-1]), np.uint8)
        notices.append(RESIZED)
    if is_soft(target) and not all(record(name).soft_target for name in metrics):
        notices.append(SOFT)
    return Outcome(score_pair(prediction, target, metrics, skeletons=skeletons), notices, scales)


class _Task(NamedTuple):
    """A pair that is to be scored, its files' bytes and the key of the score to be."""

    pair: MapPair
    content: PairContent
    key: str


Job = Callable[[MapPair, PairContent], Outcome | list[Problem]]


def _outcomes(
    tasks: Iterator[_Task], most: int, job: Job, metrics: Sequence[str], workers: int | None
) -> Iterator[tuple[_Task, Outcome | list[Problem]]]:
    """Each task with its outcome, as they come.

    Args:
        tasks: What to score; it is asked for more only as long as few wait.
        most: How many tasks there can be.
        job: Scores one.
        metrics: Names of metrics.
        workers: Processes; None for one per core.
    """
    few = list(islice(tasks, 2 * IN_PLACE))
    if not few:
        return
    processes = min(workers or available_cpus(), most // IN_PLACE)
    if len(few) < 2 * IN_PLACE or processes == 1:
        compile_kernels(metrics, 1)
        yield from ((task, job(task.pair, task.content)) for task in chain(few, tasks))
        return
    try:
        compile_kernels(metrics, processes)
        workforce = pool(processes)
        waiting: dict[Future[Outcome | list[Problem]], _Task] = {}
        for task in chain(few, tasks):
            waiting[workforce.submit(job, task.pair, task.content)] = task
            if len(waiting) >= WAITING_PER_WORKER * processes:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)
    except BrokenProcessPool:
        discard_pool(processes)
        raise UserError(
            "a scoring process was killed, most often for want of memory: run the same command "
            "again with fewer workers=; what is scored is kept"
        ) from None
    except BaseException:
        discard_pool(processes)  # Ctrl-C must not wait for what is in the workers' hands
        raise


def _finished(
    waiting: dict[Future[Outcome | list[Problem]], _Task],
) -> Iterator[tuple[_Task, Outcome | list[Problem]]]:
    """Wait for at least one; what is finished is taken off those that wait."""
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        yield waiting.pop(future), future.result()


def _contents(pairs: Iterable[MapPair]) -> Iterator[tuple[MapPair, PairContent | list[Problem]]]:
    """The pairs with their files' bytes, in order, read by some threads a few pairs ahead."""
    left = iter(pairs)
    with ThreadPoolExecutor(READERS) as threads:
        reading = deque((pair, threads.submit(_content, pair)) for pair in islice(left, READ_AHEAD))
        while reading:
            pair, future = reading.popleft()
            yield pair, future.result()
            reading.extend((one, threads.submit(_content, one)) for one in islice(left, 1))


def _content(pair: MapPair) -> PairContent | list[Problem]:
    contents, problems = [], []
    for path in (pair.map, pair.target):
        try:
            contents.append(path.read_bytes())
        except OSError as error:
            problems.append(Problem("unreadable", f"{path}: {error.strerror or error}"))
    return problems or PairContent(*contents)


def _decoded(pair: MapPair, content: PairContent) -> tuple[MapFile, MapFile] | list[Problem]:
    """Map and target, or why not."""
    files, problems = [], []
    for path, data in zip((pair.map, pair.target), content, strict=True):
        try:
            files.append(MapFile(path, data))
        except ImageError as error:
            problems.append(Problem("unreadable", str(error)))
    return problems or (files[0], files[1])


def _maps(
    pair: MapPair, files: tuple[MapFile, MapFile], resize: Resize
) -> tuple[Gray, Gray] | list[Problem]:
    """Map and target in 8 bits and of one size, unless resized later; or why not."""
    maps, problems = [], []
    for read, scale in (
        (files[0].as_map, pair.map_scale),
        (files[1].as_target, pair.target_scale),
    ):
        try:
            maps.append(read(scale))
        except ImageError as error:
            problems.append(Problem("unreadable", str(error)))
    if problems:
        return problems
    prediction, target = maps
    if prediction.shape != target.shape and resize is None:
        return [_other_size(pair, prediction.shape, target.shape)]
    return prediction, target


def _header_faults(pair: MapPair, resize: Resize) -> list[Problem]:
    sizes, problems = [], []
    for path in (pair.map, pair.target):
        try:
            sizes.append(map_size(path))
        except ImageError as error:
            problems.append(Problem("unreadable", str(error)))
    if not problems and sizes[0] != sizes[1] and resize is None:
        problems.append(_other_size(pair, *sizes))
    return problems


def _faults(pair: MapPair, resize: Resize) -> list[Problem]:
    content = _content(pair)
    files = _decoded(pair, content) if isinstance(content, PairContent) else content
    maps = files if isinstance(files, list) else _maps(pair, files, resize)
    return maps if isinstance(maps, list) else []


def _other_size(pair: MapPair, shape: tuple[int, ...], true: tuple[int, ...]) -> Problem:
    (height, width), (true_height, true_width) = shape, true
    text = (
        f"{pair.map} is {width}x{height}, its target {true_width}x{true_height} "
        "(resize=prediction brings maps to the target's size)"
    )
    return Problem("size", text)
