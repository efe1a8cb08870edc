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
from src.inference.image_file import ImageFile, read_image_file, write_image_file
from src.inference.outputs import Cutout
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
) -> Summary:
    """Make the plan's outputs of every source; collects what fails.

    Args:
        segmenter: The model.
        sources: The files.
        plan: What to make of them.
        finished: Called after each file, in place of the bars that are shown else.

    Raises:
        UserError: A result would overwrite its source.
        OSError: The disk is full.
    """
    plan.protect(sources)
    todo = [s for s in sources if not (plan.skip_existing and plan.is_done(s))]
    images = [source for source in todo if not source.is_video]
    videos = [source for source in todo if source.is_video]
    failures: list[Failure] = []
    skipped = len(sources) - len(todo)
    with progress_bars(shown=finished is None) as progress:
        task = progress.add_task("pictures", total=len(images), visible=bool(images))
        outcomes = chain(
            _predict_images(segmenter, images, plan),
            (_predict_video(segmenter, video, plan, progress) for video in videos),
        )
        for outcome in outcomes:
            failures += [outcome] if outcome else []
            progress.advance(task)
            if finished is not None:
                finished()
    return Summary(len(todo) - len(failures), skipped, failures)


def _predict_images(
    segmenter: Segmenter, sources: Sequence[Source], plan: PredictConfig
) -> Iterator[Failure | None]:
    """Reads ahead and writes behind the network, a batch at a time, in bounded memory."""
    size = segmenter.batch_size
    batches = [sources[i : i + size] for i in range(0, len(sources), size)]
    with ThreadPoolExecutor(_THREADS) as pool:
        writing: deque[tuple[Source, Future[None]]] = deque()
        reading: deque[list[Future[ImageFile]]] = deque()
        for index, batch in enumerate(batches):
            for ahead in batches[index + len(reading) : index + 2]:
                reading.append([pool.submit(_read, source, plan) for source in ahead])
            image_files: list[tuple[Source, ImageFile]] = []
            for source, future in zip(batch, reading.popleft(), strict=True):
                try:
                    image_files.append((source, future.result()))
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


def _read(source: Source, plan: PredictConfig) -> ImageFile:
    try:
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
        cut = Cutout(image_file.colors, mask, method=plan.foreground, opacity=image_file.opacity)
        for output in plan.outputs:
            target = plan.photo_target(source, output, image_file)
            write_image_file(
                target, output.render(cut), None if output.name == "mask" else image_file
            )


def _predict_video(
    segmenter: Segmenter, source: Source, plan: PredictConfig, progress: Progress
) -> Failure | None:
    from src.inference.video import predict_video

    task = progress.add_task(escape(source.path.name), total=None)
    try:
        predict_video(
            segmenter,
            source,
            plan,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    except Exception as error:
        return _failure(source, error)
    return None


def _outcome(source: Source, future: Future[None]) -> Failure | None:
    error = future.exception()
    return _failure(source, error) if isinstance(error, Exception) else None


def _failure(source: Source, error: Exception) -> Failure:
    if is_full(error):  # of the others too
        raise error
    log.debug("%s", source.path, exc_info=error)
    return Failure(source.path, reason_of(error))


def reason_of(error: Exception) -> str:
    """An error in words for a list of failures."""
    if (fault := file_fault(error)) is not None:
        return fault
    readable = isinstance(error, UserError | OSError)
    return str(error) if readable else f"{type(error).__name__}: {error}"
