"""Progress with the time that is left, where no Lightning loop shows one."""

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

Item = TypeVar("Item")


def progress_bars() -> Progress:
    """A bar for each task: how many are done, the time taken and the time left.

    On the standard error, so that what a command prints can be piped on.
    """
    return _bars(Console(stderr=True))


def tracked(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Iterate with a bar that goes away at the end; without one where nobody looks on."""
    console = Console(stderr=True)
    with _bars(console, transient=True, disable=not console.is_terminal) as bars:
        yield from bars.track(items, total, description=description)


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
