"""Compares what a disturbed command left with what an undisturbed one leaves."""

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


def differences(whole: Path, other: Path) -> list[str]:
    """Files that are missing, left over or different, one sentence each; an empty list is good."""
    ours, theirs = _files(other), _files(whole)
    found = [f"{name} is missing" for name in sorted(theirs - ours)]
    found += [f"{name} is left over" for name in sorted(ours - theirs) if not _is_hidden(name)]
    for name in sorted(ours & theirs):
        if any(fnmatch(name, pattern) for pattern in _OF_THE_OCCASION):
            continue
        if not _equal(whole / name, other / name):
            found.append(f"{name} differs{_first_difference(whole / name, other / name)}")
    return found


def _files(folder: Path) -> set[str]:
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return {name for name in names if not fnmatch(name, _LOCKS)}


def _is_hidden(name: str) -> bool:
    # A kill within a write leaves the hidden half beside the file that it was to become.
    return Path(name).name.startswith(".")


def _first_difference(one: Path, other: Path) -> str:
    if one.suffix not in (".csv", ".json", ".md"):
        return ""
    lines = [path.read_text().splitlines() for path in (one, other)]
    pairs = enumerate(zip_longest(*lines), start=1)
    return next((f", line {i}: {a!r}, now {b!r}" for i, (a, b) in pairs if a != b), "")


def _equal(one: Path, other: Path) -> bool:
    if one.suffix != ".ckpt":
        return one.read_bytes() == other.read_bytes()
    return _same(*(_located(torch.load(path, weights_only=True), path) for path in (one, other)))


def _located(value: Any, checkpoint: Path) -> Any:
    """A checkpoint whose callbacks name its files as if all runs were in one folder."""
    if isinstance(value, dict):
        return {_located(k, checkpoint): _located(v, checkpoint) for k, v in value.items()}
    return value.replace(str(checkpoint.parent), "") if isinstance(value, str) else value


def _same(one: Any, other: Any) -> bool:
    """Equal to the bit, tensors and all."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
