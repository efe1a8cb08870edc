"""Compares what a disturbed command left with what an undisturbed one leaves."""

from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

# Say when, where and by which process something was done, so they may differ; they must be there.
_OF_THE_OCCASION = (
    "*config.yaml",
    "*provenance.json",
    "*job.json",
    "*job.log",
    "*manifest.json",
    "*multirun.yaml",
    "*journal.jsonl",  # lines in the order in which processes finished; a cut one may be among them
)
_LOCKS = "*.lock"
_LOG = "metrics.csv"


def differences(whole: Path, other: Path, may_lack: int = 0) -> list[str]:
    """Files that are missing, left over or different, one sentence each; an empty list is good.

    Args:
        whole: What the undisturbed command left.
        other: What the disturbed one left.
        may_lack: Rows of `metrics.csv`; a kill between a checkpoint and its step's row costs one.
    """
    ours, theirs = _files(other), _files(whole)
    found = [f"{name} is missing" for name in sorted(theirs - ours)]
    found += [f"{name} is left over" for name in sorted(ours - theirs) if not _is_hidden(name)]
    for name in sorted(ours & theirs):
        if any(fnmatch(name, pattern) for pattern in _OF_THE_OCCASION):
            continue
        if Path(name).name == _LOG and 0 < _rows_lost(whole / name, other / name) <= may_lack:
            continue
        if not _equal(whole / name, other / name):
            found.append(f"{name} differs{_first_difference(whole / name, other / name)}")
    return found


def rows_lost(whole: Path, other: Path) -> int:
    """Rows that only the logs of the undisturbed command have."""
    logs = (path.relative_to(whole) for path in whole.rglob(_LOG))
    pairs = [(whole / log, other / log) for log in logs if (other / log).is_file()]
    return sum(max(0, _rows_lost(*pair)) for pair in pairs)


def _rows_lost(whole: Path, other: Path) -> int:
    """Rows that only the undisturbed log has; -1 where the two differ in more."""
    theirs, ours = (path.read_text().splitlines() for path in (whole, other))
    left = iter(theirs)
    return len(theirs) - len(ours) if all(line in left for line in ours) else -1


def _files(folder: Path) -> set[str]:
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return {name for name in names if not fnmatch(name, _LOCKS)}


def _is_hidden(name: str) -> bool:
    # A kill within a write leaves the hidden half beside the file that it was to become.
    return Path(name).name.startswith(".")


def _first_difference(one: Path, other: Path) -> str:
    """Where two files part, as far as that can be said."""
    if one.suffix == ".ckpt":
        return ": " + next(_partings(_read(one), _read(other)), "")
    if one.suffix not in (".csv", ".json", ".md"):
        return ""
    lines = [path.read_text().splitlines() for path in (one, other)]
    pairs = enumerate(zip_longest(*lines), start=1)
    return next((f", line {i}: {a!r}, now {b!r}" for i, (a, b) in pairs if a != b), "")


def _equal(one: Path, other: Path) -> bool:
    if one.suffix != ".ckpt":
        return one.read_bytes() == other.read_bytes()
    return next(_partings(_read(one), _read(other)), None) is None


def _read(checkpoint: Path) -> Any:
    """A checkpoint whose callbacks name its files as if all runs were in one folder."""
    return _located(torch.load(checkpoint, weights_only=True), checkpoint)


def _located(value: Any, checkpoint: Path) -> Any:
    if isinstance(value, dict):
        return {_located(k, checkpoint): _located(v, checkpoint) for k, v in value.items()}
    return value.replace(str(checkpoint.parent), "") if isinstance(value, str) else value


def _partings(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where two checkpoints differ: a bit of a tensor, a counter, a name."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if one.dtype != other.dtype or not torch.equal(one, other):
            yield f"{place}, a tensor"
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _partings(one.get(key), other.get(key), f"{place}/{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for i, (a, b) in enumerate(zip_longest(one, other)):
            yield from _partings(a, b, f"{place}/{i}")
    elif one != other:
        yield f"{place}: {one!r}, now {other!r}"
