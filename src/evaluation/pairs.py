"""Which map belongs to which truth: by path below the two folders, without extension."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.errors import UserError

from .read_map import MAP_EXTENSIONS

# Folders that data sets put truths in; they are no part of a name.
TRUTH_FOLDERS = frozenset({"gt", "gts", "mask", "masks", "truth", "truths", "groundtruth"})


class Pair(NamedTuple):
    """A map and its truth. `set` is the data set, `name` the path in it, without extension.

    The scales are those of the set's levels, see `read_map.set_scale`; None before they are known.
    """

    set: str
    name: str
    map: Path
    truth: Path
    map_scale: int | None = None
    truth_scale: int | None = None


class Problem(NamedTuple):
    """A fault of the input. `kind` is missing, extra, twice, unreadable or size."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass
class Pairing:
    """What was found in the two folders.

    Attributes:
        pairs: Sorted by data set and name.
        problems: Each file without a partner, and each name given twice.
        truths: How many truths each data set has, with or without a map.
    """

    pairs: list[Pair]
    problems: list[Problem]
    truths: dict[str, int] = field(default_factory=dict)


def find_pairs(maps: Path, truth: Path) -> Pairing:
    """Pair all images below `maps` with those below `truth`.

    A folder directly below both is a data set of its own; images beside such folders, or without
    any, belong to the data set named after the folder `truth`. Folders named `gt`, `masks` and the
    like are no part of a name (`ECSSD/masks` is ECSSD); where `truth` has such folders, only what
    is in them are truths.

    Raises:
        UserError: a folder is not there or has no image.
    """
    found_maps, problems = _by_name(maps, "maps")
    found_truths, more = _by_name(truth, "truth")
    problems += more
    default = _named_after(truth)
    missing = sorted(found_truths.keys() - found_maps.keys())
    extra = sorted(found_maps.keys() - found_truths.keys())
    problems += [Problem("missing", f"no map of {found_truths[key]}") for key in missing]
    problems += [Problem("extra", f"no truth of {found_maps[key]}") for key in extra]
    pairs = [
        Pair(*_set_and_name(key, default), found_maps[key], found_truths[key])
        for key in sorted(found_maps.keys() & found_truths.keys())
    ]
    truths: dict[str, int] = {}
    for key in found_truths:
        set_name, _ = _set_and_name(key, default)
        truths[set_name] = truths.get(set_name, 0) + 1
    return Pairing(sorted(pairs), problems, truths)


Key = tuple[str, ...]


def _by_name(folder: Path, option: str) -> tuple[dict[Key, Path], list[Problem]]:
    if not folder.is_dir():
        raise UserError(f"{option}: no folder {folder}")
    files = list(_images(folder))
    if not files:
        known = ", ".join(sorted(MAP_EXTENSIONS))
        raise UserError(f"{option}: no image in {folder} (looked for {known})")
    inner = [path for path in files if _is_inner(path, folder)]
    found: dict[Key, Path] = {}
    problems = []
    for path in inner or files:
        key = _key(path, folder)
        if key in found:
            problems.append(Problem("twice", f"{found[key]} and {path} have one name; remove one"))
        found.setdefault(key, path)
    return found, problems


def _images(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in MAP_EXTENSIONS and not hidden and path.is_file():
            yield path


def _is_inner(path: Path, folder: Path) -> bool:
    return any(_is_generic(part) for part in path.relative_to(folder).parts[:-1])


def _key(path: Path, folder: Path) -> Key:
    *folders, name = path.relative_to(folder).with_suffix("").parts
    return (*(part for part in folders if not _is_generic(part)), name)


def _named_after(folder: Path) -> str:
    telling = (part for part in reversed(folder.resolve().parts) if not _is_generic(part))
    return next(telling, folder.name)


def _is_generic(part: str) -> bool:
    return part.lower() in TRUTH_FOLDERS


def _set_and_name(key: Key, default: str) -> tuple[str, str]:
    return (key[0], "/".join(key[1:])) if len(key) > 1 else (default, key[0])


def incomplete(truths: Mapping[str, int], scored: Mapping[str, int]) -> dict[str, str]:
    """`{data set: "3 of 5"}` of the data sets in which fewer images were scored than there are."""
    return {
        name: f"{scored.get(name, 0)} of {count}"
        for name, count in truths.items()
        if scored.get(name, 0) != count
    }
