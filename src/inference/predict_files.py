"""Predicts many files: one bad file is reported and the others are done."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.markup import escape
from rich.progress import Progress

from src.datamodules.file_kinds import advice_on
from src.errors import UserError, file_fault, is_full
from src.inference.animation_integrity import is_animation
from src.inference.formats import require_alpha
from src.inference.frames import predict_frames
from src.inference.image_file import ImageFile, read_image_file, write_image_file
from src.inference.portrait import crop_to_face
from src.inference.predict_config import PredictConfig
from src.inference.segmenter import Segmenter
from src.inference.sources import Source
from src.progress import progress_bars

log = logging.getLogger(__name__)

_THREADS = 4
# Cutting out takes 110 bytes a pixel for the while: images larger than this, one at a time.
_LARGE = 12_000_000
_one_large = threading.Lock()


class Failure(NamedTuple):
    """A file that gave no result, and why."""

    path: Path
    reason: str


class StoppedError(UserError):
    """The user has stopped the work within a video, of which nothing is kept."""


class Summary(NamedTuple):
    """What became of the sources."""

    done: int
    skipped: int
    failures: list[Failure]
    left_out: str = ""  # files that were not asked for by name and are of kinds that are not read

    def __str__(self) -> str:
        lines = [f"{self.done} done, {self.skipped} skipped, {len(self.failures)} failed"]
        if self.left_out:
            lines[0] += f"; left out, of kinds that are not read: {self.left_out}"
        for path, reason in self.failures:
            lines.append(f"  {reason}" if reason.startswith(str(path)) else f"  {path}: {reason}")
        return "\n".join(lines)


def predict_files(
    segmenter: Segmenter,
    sources: Sequence[Source],
    plan: PredictConfig,
    finished: Callable[[], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Make the plan's outputs of every source; collects what fails.

    Args:
        segmenter: The model.
        sources: The files.
        plan: What to make of them.
        finished: Called after each file, in place of the bars that are shown else.
        stop: Asked between frames: a video or an animation is left then, and what is behind it.

    Raises:
        UserError: A result would overwrite its source.
        OSError: The disk is full.
    """
    plan.protect(sources)
    todo = [s for s in sources if not (plan.skip_existing and plan.is_done(s))]
    images = [source for source in todo if not source.is_video]
    videos = [source for source in todo if source.is_video]
    animations: list[Source] = []  # found out when they are read
    failures: list[Failure] = []
    skipped = len(sources) - len(todo)
    with progress_bars(shown=finished is None) as progress:
        task = progress.add_task("pictures", total=len(images), visible=bool(images))
        outcomes = chain(
            _predict_images(segmenter, images, plan, animations),
            (_predict_frames(segmenter, one, plan, progress, stop, True) for one in animations),
            (_predict_frames(segmenter, one, plan, progress, stop, False) for one in videos),
        )
        done = 0
        try:
            for outcome in outcomes:
                failures += [outcome] if outcome else []
                done += outcome is None
                progress.advance(task)
                if finished is not None:
                    finished()
        except StoppedError as stopped:
            log.info("%s", stopped)
            return Summary(done, skipped, failures)
    assert done + len(failures) == len(todo), "a file was lost"
    return Summary(done, skipped, failures)


def _predict_images(
    segmenter: Segmenter,
    sources: Sequence[Source],
    plan: PredictConfig,
    animations: list[Source],
) -> Iterator[Failure | None]:
    """Reads ahead and writes behind the network, a batch at a time, in bounded memory.

    Animations among the sources are left for later, in the list.
    """
    size = segmenter.batch_size
    batches = [sources[i : i + size] for i in range(0, len(sources), size)]
    with ThreadPoolExecutor(_THREADS) as pool:
        writing: deque[tuple[Source, Future[None]]] = deque()
        reading: deque[list[Future[ImageFile | None]]] = deque()
        for index, batch in enumerate(batches):
            for ahead in batches[index + len(reading) : index + 2]:
                reading.append([pool.submit(_read, source, plan) for source in ahead])
            image_files: list[tuple[Source, ImageFile]] = []
            for source, future in zip(batch, reading.popleft(), strict=True):
                try:
                    if (image_file := future.result()) is None:
                        animations.append(source)
                    else:
                        image_files.append((source, image_file))
                except Exception as error:  # whatever a file does, the others are done
                    yield _failure(source, error)
            for source, image_file, mask in _segmented(segmenter, image_files, plan):
                if isinstance(mask, Exception):
                    yield _failure(source, mask)
                else:
                    writing.append((source, pool.submit(_write, source, image_file, mask, plan)))
            while len(writing) > 2 * size:
                yield _outcome(*writing.popleft())
        while writing:
            yield _outcome(*writing.popleft())


def _read(source: Source, plan: PredictConfig) -> ImageFile | None:
    """A photo, or None for an animation."""
    try:
        if is_animation(source.path):
            return None
        image_file = read_image_file(source.path)
    except UserError as error:
        if (advice := advice_on(source.path)) is None:
            raise
        raise UserError(f"{source.path}: {advice}") from error
    return crop_to_face(image_file) if plan.crop == "face" else image_file


def _segmented(
    segmenter: Segmenter, image_files: list[tuple[Source, ImageFile]], plan: PredictConfig
) -> Iterator[tuple[Source, ImageFile, np.ndarray | Exception]]:
    """The masks of a batch; if the batch fails, of its images one by one."""
    options = {"detail": plan.detail, "flip": plan.flip, "overlap": plan.overlap}
    pixels = [image_file.pixels for _, image_file in image_files]
    try:
        masks = segmenter.masks(pixels, **options)  # type: ignore[arg-type]
    except Exception as error:
        if len(image_files) == 1:
            yield (*image_files[0], error)
            return
        for one in image_files:
            yield from _segmented(segmenter, [one], plan)
        return
    for (source, image_file), mask in zip(image_files, masks, strict=True):
        yield source, image_file, mask


def _write(source: Source, image_file: ImageFile, mask: np.ndarray, plan: PredictConfig) -> None:
    with _one_large if mask.size > _LARGE else nullcontext():
        cut = plan.cutout(image_file.colors, mask, image_file.opacity)
        for output in plan.outputs:
            target, pixels = plan.photo_target(source, output, image_file), output.render(cut)
            if pixels.ndim == 3 and pixels.shape[2] == 4:
                require_alpha(target.suffix)
            write_image_file(target, pixels, None if output.name == "mask" else image_file)


def _predict_frames(
    segmenter: Segmenter,
    source: Source,
    plan: PredictConfig,
    progress: Progress,
    stop: Callable[[], bool],
    animation: bool,
) -> Failure | None:
    task = progress.add_task(escape(source.path.name), total=None)

    def report(done: int, total: int | None) -> None:
        progress.update(task, completed=done, total=total)
        if stop():
            raise StoppedError(
                f"{source.path}: stopped at frame {done}; the next call makes it anew"
            )

    try:
        predict_frames(segmenter, source, plan, report, animation=animation)
    except Exception as error:
        return _failure(source, error)
    return None


def _outcome(source: Source, future: Future[None]) -> Failure | None:
    error = future.exception()
    return _failure(source, error) if isinstance(error, Exception) else None


def _failure(source: Source, error: Exception) -> Failure:
    if is_full(error) or isinstance(error, StoppedError):  # of the others too
        raise error
    log.debug("%s", source.path, exc_info=error)
    return Failure(source.path, reason_of(error))


def reason_of(error: Exception) -> str:
    """An error in words for a list of failures."""
    if (fault := file_fault(error)) is not None:
        return fault
    readable = isinstance(error, UserError | OSError)
    return str(error) if readable else f"{type(error).__name__}: {error}"
