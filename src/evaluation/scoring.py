"""Scores the pairs of two folders on all cores; what is finished survives any interruption.

Each file is read once: its bytes are hashed here, which says whether an earlier run has scored it,
and decoded by the process that scores it.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from src.datamodules.images import ImageError
from src.datamodules.mask_levels import Scale
from src.errors import UserError
from src.evaluation.matching import MapPair, Problem
from src.evaluation.read_map import (
    GRAY,
    RESIZED,
    SOFT,
    ZERO_ONE,
    MapFile,
    full_scale,
    is_soft,
    map_size,
    read_trimap,
)
from src.evaluation.stored_scores import (
    Outcome,
    PairContent,
    Resize,
    asked_for,
    complete,
    from_entry,
    join,
    key_of,
    to_entry,
)
from src.metrics import (
    Gray,
    ImageResult,
    compile_kernels,
    discard_pool,
    pool,
    record,
    records,
    score_pair,
)
from src.processes import available_cpus
from src.progress import progress_bars
from src.resume_log import ResumeLog

IN_PLACE = 8  # so few images are scored before a second process has started
PIXELS_IN_PLACE = 16_000_000  # and so many pixels, by finecut's own metrics
READERS = 8
READ_AHEAD = 32  # pairs whose files are in memory before anyone asks for them
READ_TOGETHER = 4  # pairs that a thread reads at a time: to wake it costs as much as a small file
WAITING_PER_WORKER = 3


@dataclass
class Scored:
    """What scoring gave.

    Attributes:
        scores: By pair, which now has the scales of its set.
        notices: By pair, what its reader should know of it.
        left_out: By pair, why the others could not be scored.
        reused: How many scores an earlier run had left.
    """

    scores: dict[MapPair, ImageResult] = field(default_factory=dict)
    notices: dict[MapPair, list[str]] = field(default_factory=dict)
    left_out: dict[MapPair, list[Problem]] = field(default_factory=dict)
    reused: int = 0

    @property
    def problems(self) -> list[Problem]:
        """All of `left_out`, sorted."""
        return sorted(problem for found in self.left_out.values() for problem in found)


def header_faults(pairs: Sequence[MapPair], resize: Resize) -> list[Problem]:
    """What the first bytes of the files say against scoring these pairs."""
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda pair: _header_faults(pair, resize), pairs)
        return [problem for problems in found for problem in problems]


def faults(pairs: Sequence[MapPair], resize: Resize, mattes: bool = False) -> list[Problem]:
    """Everything that keeps these pairs from being scored; every file is read."""
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda pair: _faults(pair, resize, mattes), pairs)
        return [problem for problems in found for problem in problems]


def trimap_faults(pairs: Sequence[MapPair]) -> list[Problem]:
    """What is wrong with the trimaps of these pairs; each is read, once for all methods."""
    targets = {pair.trimap: pair.target for pair in pairs if pair.trimap is not None}
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda files: _trimap_fault(*files), targets.items())
        return [problem for problem in found if problem is not None]


def are_of_mattes(metrics: Iterable[str]) -> bool:
    """Whether all metrics take the ground truth as it is, however gray."""
    return all(record(name).soft_target for name in metrics)


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
    mattes = are_of_mattes(metrics)
    job = partial(score_files, resize=resize, skeletons=skeletons, mattes=mattes)
    found: dict[MapPair, Outcome] = {}
    scored = Scored()
    with progress_bars() as bar, journal.held_open():
        task = bar.add_task("scoring", total=len(pairs))

        def unscored(some: Sequence[MapPair]) -> Iterator[_Task]:
            """Those that no earlier run has scored; the scores of the others are taken over."""
            for pair, content in _contents(some):
                if not isinstance(content, PairContent):
                    scored.left_out[pair] = content
                    bar.advance(task)
                    continue
                key = key_of(pair, content, resize)
                earlier, lacking = from_entry(journal.get(key)), list(metrics)
                if earlier is not None and not mattes and GRAY in earlier.notices:
                    earlier = None  # scored as a matte: as a mask it is still to be judged
                if earlier is not None:
                    earlier, lacking = complete(earlier, metrics)
                if earlier is None or lacking:
                    yield _Task(pair, content, key, tuple(lacking), earlier)
                    continue
                found[pair] = earlier
                if earlier.score is not None:
                    scored.reused += 1
                    bar.advance(task)

        def score(some: Sequence[MapPair]) -> None:
            for one, outcome in _outcomes(unscored(some), len(some), job, workers):
                if isinstance(outcome, list):
                    scored.left_out[one.pair] = outcome
                    bar.advance(task)
                    continue
                found[one.pair] = outcome = join(one.earlier, outcome)
                journal.add(one.key, to_entry(outcome))
                if outcome.score is not None:
                    bar.advance(task)

        score(pairs)
        scales = _of_sets(found)
        waiting = [pair for pair in found if found[pair].score is None]
        score([_in_scale(pair, *scales[pair.set]) for pair in waiting])
    for pair, (of_pair, notices, _) in found.items():
        if of_pair is not None:
            pair = _in_scale(pair, *scales[pair.set])
            scored.scores[pair] = asked_for(of_pair, metrics)
            scored.notices[pair] = [
                text for text in notices if not (mattes and text in (SOFT, GRAY))
            ]
            if pair.map_scale == 1:
                scored.notices[pair].append(ZERO_ONE)
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
    mattes: bool = False,
) -> Outcome | list[Problem]:
    """Decode and score one pair, or say what kept it from being scored."""
    files = _decoded(pair, content)
    if isinstance(files, list):
        return files
    scales = files[0].scale, files[1].scale
    of_sets = pair.map_scale, pair.target_scale
    if any(f.waits_for_its_set and known is None for f, known in zip(files, of_sets, strict=True)):
        return Outcome(None, [], scales)
    maps = _maps(pair, files, resize, mattes)
    if isinstance(maps, list):
        return maps
    prediction, target = maps
    trimap = _trimap(pair, content, target.shape)
    if isinstance(trimap, Problem):
        return [trimap]
    notices = []
    if prediction.shape != target.shape:
        prediction = np.asarray(cv2.resize(prediction, target.shape[::-1]), np.uint8)
        notices.append(RESIZED)
    if is_soft(target):
        notices.append(SOFT)
    if mattes and files[1].target_fault(target) is not None:
        notices.append(GRAY)
    score = score_pair(prediction, target, metrics, skeletons=skeletons, trimap=trimap)
    return Outcome(score, notices, scales)


class _Task(NamedTuple):
    """A pair that is to be scored.

    Attributes:
        pair: The files.
        content: Their bytes.
        key: Of the score to be.
        metrics: Those that are not known of it yet.
        earlier: What is.
    """

    pair: MapPair
    content: PairContent
    key: str
    metrics: tuple[str, ...]
    earlier: Outcome | None


Job = Callable[[MapPair, PairContent, Sequence[str]], Outcome | list[Problem]]


def _outcomes(
    tasks: Iterator[_Task], most: int, job: Job, workers: int | None
) -> Iterator[tuple[_Task, Outcome | list[Problem]]]:
    """Each task with its outcome, as they come.

    Args:
        tasks: What to score; it is asked for more only as long as few wait.
        most: How many tasks there can be.
        job: Scores one.
        workers: Processes; None for one per core, where so many are worth starting.
    """
    few = list(islice(tasks, 2 * IN_PLACE))
    if not few:
        return
    processes = min(workers or _worth_starting(few, most), most // IN_PLACE)
    if len(few) < 2 * IN_PLACE or processes == 1:
        compile_kernels(few[0].metrics, 1)
        yield from (
            (task, job(task.pair, task.content, task.metrics)) for task in chain(few, tasks)
        )
        return
    try:
        compile_kernels(few[0].metrics, processes)
        workforce = pool(processes)
        waiting: dict[Future[Outcome | list[Problem]], _Task] = {}
        for task in chain(few, tasks):
            waiting[workforce.submit(job, task.pair, task.content, task.metrics)] = task
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


def _worth_starting(tasks: Sequence[_Task], most: int) -> int:
    """Processes, at least 1: each costs the time in which a running one scores some images.

    Args:
        tasks: Some of the tasks, by whose sizes the others' are guessed.
        most: How many tasks there can be.
    """
    cores = available_cpus()
    if any(name not in records() for name in tasks[0].metrics):  # which may take any time
        return cores
    pixels = 0
    for task in tasks:
        try:
            pixels += math.prod(map_size(task.pair.target))
        except ImageError:
            continue  # said when it is decoded
    return max(1, min(cores, pixels * most // (len(tasks) * PIXELS_IN_PLACE)))


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

        def submit() -> Iterator[tuple[list[MapPair], Future[list[PairContent | list[Problem]]]]]:
            while some := list(islice(left, READ_TOGETHER)):
                yield some, threads.submit(_read_together, some)

        reading = deque(islice(submit(), READ_AHEAD // READ_TOGETHER))
        while reading:
            some, future = reading.popleft()
            yield from zip(some, future.result(), strict=True)
            reading.extend(islice(submit(), 1))


def _read_together(pairs: Sequence[MapPair]) -> list[PairContent | list[Problem]]:
    return [_content(pair) for pair in pairs]


def _content(pair: MapPair) -> PairContent | list[Problem]:
    contents: list[bytes] = []
    problems = []
    for path in (pair.map, pair.target, pair.trimap):
        try:
            contents += [] if path is None else [path.read_bytes()]
        except OSError as error:
            problems.append(Problem("unreadable", f"{path}: {error.strerror or error}"))
    return problems or PairContent(*contents)


def _decoded(pair: MapPair, content: PairContent) -> tuple[MapFile, MapFile] | list[Problem]:
    """Map and target, or why not."""
    files, problems = [], []
    for path, data in ((pair.map, content.map), (pair.target, content.target)):
        try:
            files.append(MapFile(path, data))
        except ImageError as error:
            problems.append(Problem("unreadable", str(error)))
    return problems or (files[0], files[1])


def _maps(
    pair: MapPair, files: tuple[MapFile, MapFile], resize: Resize, mattes: bool
) -> tuple[Gray, Gray] | list[Problem]:
    """Map and target in 8 bits and of one size, unless resized later; or why not."""
    maps, problems = [], []
    for read, scale in (
        (files[0].as_map, pair.map_scale),
        (partial(files[1].as_target, soft=mattes), pair.target_scale),
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


def _trimap(pair: MapPair, content: PairContent, shape: tuple[int, ...]) -> Gray | Problem | None:
    """The trimap of a pair whose target has this shape; None where it has none, or why not."""
    if pair.trimap is None:
        return None
    try:
        trimap = read_trimap(pair.trimap, content.trimap)
    except ImageError as error:
        return Problem("unreadable", str(error))
    return trimap if trimap.shape == shape else _other_trimap(pair.trimap, trimap.shape, shape)


def _trimap_fault(path: Path, target: Path) -> Problem | None:
    try:
        shape = read_trimap(path).shape
    except (ImageError, OSError) as error:
        return Problem("unreadable", str(error))
    try:
        size = map_size(target)
    except ImageError:
        return None  # which is said of the target
    return None if shape == size else _other_trimap(path, shape, size)


def _other_trimap(path: Path, shape: tuple[int, ...], true: tuple[int, ...]) -> Problem:
    (height, width), (true_height, true_width) = shape, true
    text = f"trimap {path} is {width}x{height}, its target {true_width}x{true_height}"
    return Problem("size", text)


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


def _faults(pair: MapPair, resize: Resize, mattes: bool) -> list[Problem]:
    content = _content(pair)
    files = _decoded(pair, content) if isinstance(content, PairContent) else content
    maps = files if isinstance(files, list) else _maps(pair, files, resize, mattes)
    return maps if isinstance(maps, list) else []


def _other_size(pair: MapPair, shape: tuple[int, ...], true: tuple[int, ...]) -> Problem:
    (height, width), (true_height, true_width) = shape, true
    text = (
        f"{pair.map} is {width}x{height}, its target {true_width}x{true_height} "
        "(resize=prediction brings maps to the target's size)"
    )
    return Problem("size", text)
