"""Folders: where configs, experiments and caches lie, and what is below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

IMPORT_ROOT = _PACKAGE.parent  # `import src` works from here
IS_INSTALLED = (_PACKAGE / "conf").is_dir()
CONF = _PACKAGE / "conf" if IS_INSTALLED else IMPORT_ROOT / "conf"
EXPERIMENTS = (CONF / "experiment").resolve()  # a link to experiments/ in a checkout


VARIABLE = "FINECUT_CACHE"
_DEFAULT = "cache"
_ARCHIVER = "__MACOSX"  # its files carry the names of images and are none


def cache_folder(given: str | Path | None = None) -> Path:
    """The folder that was `given`, else that of the variable FINECUT_CACHE, else `cache`."""
    return Path(given or os.environ.get(VARIABLE) or _DEFAULT).expanduser()


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
