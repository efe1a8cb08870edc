"""Which map belongs to which truth: by path below the two folders, without extension."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.datamodules.file_kinds import is_image_name
from src.errors import UserError
from src.evaluation.read_map import MAP_EXTENSIONS
from src.paths import files_below
from src.results.schema import HISTOGRAMS

# Folders that data sets put targets in; they are no part of a name.
TRUTH_FOLDERS = frozenset({"gt", "gts", "mask", "masks", "truth", "truths", "groundtruth"})
# What an evaluation leaves in its output folder; the image is none of the images.
WORST, JOURNAL = "worst.png", "journal.jsonl"
# Maps in other formats than these are not read; one that is passed over unsaid would be missing.
_OTHER_MAPS = frozenset({".fits", ".mat", ".nii", ".npz", ".nrrd", ".pfm", ".pict", ".rgb"})


class MapPair(NamedTuple):
    """A map and its target. `set` is the data set, `name` the path in it, without extension.

    The scales are those of the set's levels, see `read_map.full_scale`; None before they are known.
    """

    set: str
    name: str
    map: Path
    target: Path
    map_scale: int | None = None
    target_scale: int | None = None


class Problem(NamedTuple):
    """A fault of the input. `kind` is missing, extra, twice, unread, unreadable or size."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass
class Pairing:
    """What was found in the two folders.

    Attributes:
        pairs: Sorted by data set and name.
        problems: Each file without a partner, each name given twice, each kind that is not read.
        truths: How many targets each data set has, with or without a map.
        remarks: What was left out as asked, and what may explain many missing names.
    """

    pairs: list[MapPair]
    problems: list[Problem]
    targets: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def find_pairs(maps: Path, target: Path, map_suffix: str = "", mask_suffix: str = "") -> Pairing:
    """Pair all images below `maps` with those below `target`.

    A folder directly below both is a data set of its own; images beside such folders, or without
    any, belong to the data set named after the folder `target`. Folders named `gt`, `masks` and the
    like are no part of a name (`ECSSD/masks` is ECSSD); where `target` has such folders, only what
    is in them are targets. Linked folders are followed. Names that differ only in how their accents
    are encoded (NFC, NFD) are one.

    Args:
        maps: Folder of maps.
        truth: Folder of targets.
        map_suffix: What maps carry after the name (`cat_pred.png`); files without it are left out.
        mask_suffix: The same of targets (`cat_mask.png`).

    Raises:
        UserError: a folder is not there or has no image.
    """
    ours = _Listing(maps, "maps", map_suffix, "map_suffix")
    theirs = _Listing(target, "truth", mask_suffix, "mask_suffix")
    problems = [*ours.problems, *theirs.problems]
    default = _named_after(target)
    missing = sorted(theirs.found.keys() - ours.found.keys())
    extra = sorted(ours.found.keys() - theirs.found.keys())
    problems += [Problem("missing", f"no map of {theirs.found[key]}") for key in missing]
    problems += [Problem("extra", f"no target of {ours.found[key]}") for key in extra]
    pairs = [
        MapPair(*_set_and_name(key, default), ours.found[key], theirs.found[key])
        for key in sorted(ours.found.keys() & theirs.found.keys())
    ]
    targets = Counter(_set_and_name(key, default)[0] for key in {*theirs.found, *theirs.unread})
    remarks = [*ours.remarks, *theirs.remarks]
    if not (map_suffix or mask_suffix):
        remarks += _suffix_hints(missing, extra)
    return Pairing(sorted(pairs), problems, dict(targets), remarks)


def image_folders(pairing: Pairing) -> set[Path]:
    """The folders that hold a map or a target, links resolved."""
    return {path.parent.resolve() for pair in pairing.pairs for path in (pair.map, pair.target)}


Key = tuple[str, ...]


class _Listing:
    """The images below a folder by their keys, the names of those that are not read, and why."""

    def __init__(self, folder: Path, option: str, suffix: str, suffix_option: str) -> None:
        if not folder.is_dir():
            raise UserError(f"{option}: no folder {folder}")
        self.found: dict[Key, Path] = {}
        self.unread: set[Key] = set()
        self.problems: list[Problem] = []
        self.remarks: list[str] = []
        images: list[Path] = []
        unread: list[Path] = []
        bare = 0
        for path in files_below(folder):
            kind = path.suffix.lower()
            is_map = kind in MAP_EXTENSIONS | _OTHER_MAPS or is_image_name(path)
            if not is_map or _is_of_results(path):
                continue
            if not path.stem.endswith(suffix):
                bare += 1
                continue
            (images if kind in MAP_EXTENSIONS else unread).append(path)
        inner = any(_is_inner(path, folder) for path in [*images, *unread])
        images, unread = (
            [path for path in paths if _is_inner(path, folder) or not inner]
            for paths in (images, unread)
        )
        if bare:
            self.remarks.append(
                f"{option}: {bare} images without {suffix_option}={suffix} left out"
            )
        if not images:
            known = ", ".join(sorted(MAP_EXTENSIONS))
            there = f"; there are {_counted(unread)}" if unread else ""
            named = f" whose name ends with {suffix_option}={suffix}" if suffix else ""
            raise UserError(f"{option}: no image in {folder}{named} (looked for {known}{there})")
        self.unread.update(_key(path, folder, suffix) for path in unread)
        self._take(images, folder, suffix)
        self.problems += _unread(unread, folder)

    def _take(self, images: Iterable[Path], folder: Path, suffix: str) -> None:
        for path in images:
            key = _key(path, folder, suffix)
            if not path.is_file():
                text = f"{path}: no file (a link to nothing, or a device)"
                self.problems.append(Problem("unreadable", text))
                self.unread.add(key)
                continue
            if key in self.found:
                text = f"{self.found[key]} and {path} have one name; remove one"
                self.problems.append(Problem("twice", text))
            self.found.setdefault(key, path)


def _is_of_results(path: Path) -> bool:
    """Whether an evaluation has written a file that could be taken for a map."""
    return path.name in (WORST, HISTOGRAMS) and path.with_name(JOURNAL).is_file()


def _unread(paths: Iterable[Path], folder: Path) -> list[Problem]:
    """A problem for each kind of file that is left out."""
    kinds: dict[str, list[Path]] = {}
    for path in paths:
        kinds.setdefault(path.suffix.lower(), []).append(path)
    return [
        Problem(
            "unread",
            f"{len(of)} {kind} files in {folder} ({of[0].relative_to(folder)}): this kind is not "
            "read; save them as PNG",
        )
        for kind, of in sorted(kinds.items())
    ]


def _counted(paths: Iterable[Path]) -> str:
    kinds = Counter(path.suffix.lower() for path in paths)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{listed}, which are not read: save them as PNG"


def _suffix_hints(missing: list[Key], extra: list[Key]) -> list[str]:
    """What explains at least half of the names without a partner, and more than one."""
    hints = []
    for option, longer, shorter in (
        ("map_suffix", extra, missing),
        ("mask_suffix", missing, extra),
    ):
        names = {*shorter}
        endings = Counter(
            key[-1][cut:]
            for key in longer
            for cut in range(1, len(key[-1]))
            if (*key[:-1], key[-1][:cut]) in names
        )
        for ending, count in endings.most_common(1):
            if count > 1 and 2 * count >= len(longer):
                hints.append(f"{count} names without a partner end with it: {option}={ending}")
    return hints


def _is_inner(path: Path, folder: Path) -> bool:
    return any(_is_generic(part) for part in path.relative_to(folder).parts[:-1])


def _key(path: Path, folder: Path, suffix: str) -> Key:
    *folders, name = path.relative_to(folder).with_suffix("").parts
    parts = (*(part for part in folders if not _is_generic(part)), name.removesuffix(suffix))
    return tuple(unicodedata.normalize("NFC", part) for part in parts)


def _named_after(folder: Path) -> str:
    telling = (part for part in reversed(folder.resolve().parts) if not _is_generic(part))
    return next(telling, folder.name)


def _is_generic(part: str) -> bool:
    return part.lower() in TRUTH_FOLDERS


def _set_and_name(key: Key, default: str) -> tuple[str, str]:
    return (key[0], "/".join(key[1:])) if len(key) > 1 else (default, key[0])


def incomplete(targets: Mapping[str, int], scored: Mapping[str, int]) -> dict[str, str]:
    """`{data set: "3 of 5"}` of the data sets in which fewer images were scored than there are."""
    return {
        name: f"{scored.get(name, 0)} of {count}"
        for name, count in targets.items()
        if scored.get(name, 0) != count
    }
