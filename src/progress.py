"""Progress with the time that is left, where no Lightning loop shows one."""

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)

Item = TypeVar("Item")

_MUCH = 100


def progress_bars(shown: bool = True) -> Progress:
    """A bar for each task: how many are done, the time taken and the time left.

    On the standard error, so that what a command prints can be piped on.
    """
    return _bars(Console(stderr=True), disable=not shown)


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Iterate with a bar that goes away at the end, or in a file with a line for each tenth."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bars(console, transient=True) as bars:
            yield from bars.track(items, total, description=description)
        return
    for done, item in enumerate(items, start=1):
        yield item
        if total >= _MUCH and done * 10 // total > (done - 1) * 10 // total:
            log.info("%s: %d of %d", description, done, total)


def _bars(console: Console, **options: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        **options,  # type: ignore[arg-type]
    )
