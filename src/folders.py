"""What is below a folder, through links, in an order that is the same everywhere."""

import os
from collections.abc import Iterator
from pathlib import Path

_ARCHIVER = "__MACOSX"  # its files carry the names of images and are none


def files_below(folder: Path, *, hidden: bool = False) -> Iterator[Path]:
    """All that is below a folder and no folder itself, each folder's in the order of names.

    Linked folders are followed, except where a link leads back to a folder that it lies in. Links
    to nothing are listed: who opens them can name them.

    Args:
        folder: Where to look.
        hidden: Also what starts with a dot.

    Raises:
        OSError: A folder cannot be read.
    """
    yield from _below(folder, hidden, frozenset())


def _below(folder: Path, hidden: bool, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    state = folder.stat()
    if (state.st_dev, state.st_ino) in above:
        return
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        if not hidden and (entry.name.startswith(".") or entry.name == _ARCHIVER):
            continue
        if _is_folder(entry):
            yield from _below(Path(entry.path), hidden, above | {(state.st_dev, state.st_ino)})
        else:
            yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
