"""A folder that files arrive in: each is predicted once it is complete.

The folder is listed again and again. The system's own notices of changes do not tell of what other
machines write to a network share, or of what a container's host writes; and whether a file is
complete shows in time only. It counts as complete when its size, its time of change and its number
are the same in two looks at it, one period apart; a file that is renamed into the folder is so
after one period.
"""

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from src.errors import CommandError, UserError, file_fault
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Failure, Summary, predict_files
from src.inference.segmenter import Segmenter
from src.inference.sources import Inputs, Source, find_inputs

log = logging.getLogger(__name__)


class _Mark(NamedTuple):
    """What tells whether a file has changed."""

    size: int
    changed: int
    number: int


class Watch:
    """Predicts what arrives in folders until it is stopped.

    Args:
        segmenter: The model.
        folders: Which are watched; what is there at the start counts as arrived.
        plan: What is made. What has a result already is skipped; a file that changes while it is
            watched is predicted again.
        recursive: Also folders within.
        seconds: From one look to the next.

    Raises:
        CommandError: Something else than a folder is to be watched.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        folders: Iterable[str],
        plan: PredictConfig,
        *,
        recursive: bool = True,
        seconds: float = 1.0,
    ) -> None:
        self._segmenter, self._recursive, self._seconds = segmenter, recursive, seconds
        self._folders = [str(folder) for folder in folders]
        for folder in self._folders:
            if not Path(folder).expanduser().is_dir():
                raise CommandError(f"watch=true is for folders, and input {folder} is none")
        self._plan = plan
        self._seen: dict[Path, _Mark] = {}
        self._done: dict[Path, _Mark] = {}
        self._failures: dict[Path, Failure] = {}
        self._inputs: Inputs | None = None
        self._gone = False
        self._counts = Summary(0, 0, [])

    def run(self, stop: threading.Event) -> Summary:
        """Look and predict until `stop` is set; what is unfinished then is left for the next call.

        Raises:
            UserError: A result would overwrite an original.
            OSError: The disk is full.
        """
        while not stop.is_set():
            self._predict(self._ready(), stop)
            stop.wait(self._seconds)
        failures = sorted(self._failures.values())
        waiting = [path for path, mark in self._seen.items() if self._done.get(path) != mark]
        empty = [path for path in waiting if self._seen[path].size == 0]
        failures += [Failure(path, "empty file (0 bytes)") for path in sorted(empty)]
        if left := len(waiting) - len(empty):
            log.info("%d files are left for the next call", left)
        left_out = "" if self._inputs is None else self._inputs.left_out
        return self._counts._replace(failures=failures, left_out=left_out)

    def _ready(self) -> list[Source]:
        """Files that have not changed since the last look, and are not done as they are."""
        try:
            self._inputs = find_inputs(
                self._folders,
                recursive=self._recursive,
                output=self._plan.folder,
                allow_empty=True,
            )
        except (UserError, OSError) as error:
            if not self._gone:
                log.warning("%s; looking again", file_fault(error) or error)
            self._gone = True
            return []
        self._gone = False
        marks: dict[Path, _Mark] = {}
        ready = []
        for source in self._inputs.sources:
            try:
                facts = source.path.stat()
            except OSError:  # gone since it was listed
                continue
            mark = _Mark(facts.st_size, facts.st_mtime_ns, facts.st_ino)
            marks[source.path] = mark
            stable = mark.size > 0 and self._seen.get(source.path) == mark
            if stable and self._done.get(source.path) != mark:
                ready.append(source)
        self._seen = marks
        return ready

    def _predict(self, sources: list[Source], stop: threading.Event) -> None:
        """A few at a time, so that a stop is soon noticed and results soon told of."""
        for some in _portions(sources, self._segmenter.batch_size):
            if stop.is_set():
                return
            # What changes while it is watched has an older result, which is none of its own.
            old = {
                source.path
                for source in some
                if source.path not in self._done and self._plan.is_done(source)
            }
            todo = [source for source in some if source.path not in old]
            plan = replace(self._plan, skip_existing=False)
            summary = predict_files(
                self._segmenter, todo, plan, finished=lambda: None, stop=stop.is_set
            )
            failed = {failure.path: failure for failure in summary.failures}
            for source in some:
                if stop.is_set() and source.path not in failed and not plan.is_done(source):
                    continue  # it was stopped before its end
                self._done[source.path] = self._seen[source.path]
                self._failures.pop(source.path, None)
                if source.path not in old:
                    log.info("%s: %s", source.path, _told(failed.get(source.path)))
            self._failures |= failed
            self._counts = self._counts._replace(
                done=self._counts.done + summary.done, skipped=self._counts.skipped + len(old)
            )


def _portions(sources: list[Source], size: int) -> Iterator[list[Source]]:
    """Images in batches, videos each by itself."""
    images = [source for source in sources if not source.is_video]
    yield from (images[first : first + size] for first in range(0, len(images), size))
    yield from ([source] for source in sources if source.is_video)


def _told(failure: Failure | None) -> str:
    return "done" if failure is None else failure.reason.removeprefix(f"{failure.path}: ")


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process as it usually does."""
    event = threading.Event()
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        for one, handler in usual.items():
            signal.signal(one, handler)
        log.info("stopping after the files at hand; once more stops at once")
        event.set()

    try:
        for number in usual:
            signal.signal(number, stop)
        yield event
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
