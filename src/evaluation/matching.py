"""Which map belongs to which truth: by path below the two folders, without extension."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from src.datamodules.file_kinds import is_image_name
from src.errors import UserError
from src.evaluation.read_map import MAP_EXTENSIONS
from src.paths import files_below
from src.results.schema import HISTOGRAMS, KEPT, PROVENANCE

# Folders that data sets put targets in; they are no part of a name.
TRUTH_FOLDERS = frozenset({"gt", "gts", "mask", "masks", "truth", "truths", "groundtruth"})
TRIMAP_FOLDERS = frozenset({"trimap", "trimaps"})
# What an evaluation leaves in its output folder; the images are none of the images.
WORST, JOURNAL = "worst.png", "journal.jsonl"
CURVES_OF_SET = "curves_"  # and the name of the set
_LOOKED_AT = 3  # files by which maps are taken for the ground truth itself
# Maps in other formats than these are not read; one that is passed over unsaid would be missing.
_OTHER_MAPS = frozenset({".fits", ".mat", ".nii", ".npz", ".nrrd", ".pfm", ".pict", ".rgb"})


class MapPair(NamedTuple):
    """A map and its target, and the trimap if one is asked for.

    `set` is the data set, `name` the path in it, without extension.

    The scales are those of the set's levels, see `read_map.full_scale`; None before they are known.
    """

    set: str
    name: str
    map: Path
    target: Path
    map_scale: int | None = None
    target_scale: int | None = None
    trimap: Path | None = None


class Problem(NamedTuple):
    """A fault of the input.

    `kind` is missing, extra, twice, unread, unreadable or size; of stored results also differs or
    repeated.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass
class Pairing:
    """What was found in the two folders.

    Attributes:
        pairs: Sorted by data set and name.
        map_problems: Each file without a partner, each name given twice, each kind that is not
            read, but for those of `target_problems`.
        targets: How many targets each data set has, with or without a map.
        remarks: What was left out as asked, and what may explain many missing names.
        target_problems: Of the targets and their trimaps, whatever the maps.
        trimaps: Of each data set those that were found, by image.
    """

    pairs: list[MapPair]
    map_problems: list[Problem]
    targets: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    target_problems: list[Problem] = field(default_factory=list)
    trimaps: dict[str, dict[str, Path]] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        return [*self.map_problems, *self.target_problems]


class Naming(NamedTuple):
    """What files carry before and after an image's name: `sal_cat_pred.png` is of `cat`."""

    map_prefix: str = ""
    map_suffix: str = ""
    mask_prefix: str = ""
    mask_suffix: str = ""
    trimap_prefix: str = ""
    trimap_suffix: str = ""


PLAIN_NAMES = Naming()


def find_pairs(
    maps: Path,
    target: Path,
    naming: Naming = PLAIN_NAMES,
    set_name: str | None = None,
    trimaps: Path | None = None,
) -> Pairing:
    """Pair all images below `maps` with those below `target`.

    A folder directly below both is a data set of its own; images beside such folders, or without
    any, belong to the data set named after the folder `target`. Folders named `gt`, `masks` and the
    like are no part of a name (`ECSSD/masks` is ECSSD); where `target` has such folders, only what
    is in them are targets. Linked folders are followed. Names that differ only in how their accents
    are encoded (NFC, NFD) are one.

    Args:
        maps: Folder of maps.
        target: Folder of targets.
        naming: What files carry beside the name; those without it are left out.
        set_name: All images are of this data set, whatever folders they lie in; None as above.
        trimaps: Folder of a trimap for each target, under the same names; `trimap` and `trimaps`
            are no part of a name. None where none are needed.

    Raises:
        UserError: a folder is not there or has no image.
    """
    ours = _Listing(maps, "maps", "map", naming.map_prefix, naming.map_suffix)
    theirs = _Listing(target, "ground_truth", "mask", naming.mask_prefix, naming.mask_suffix)
    uncertain = None
    if trimaps is not None:
        carried = naming.trimap_prefix, naming.trimap_suffix
        uncertain = _Listing(trimaps, "trimaps", "trimap", *carried, TRIMAP_FOLDERS)
    default = set_name_of(target)

    def split(key: Key) -> tuple[str, str]:
        return (set_name, "/".join(key)) if set_name else _set_and_name(key, default)

    missing = sorted(theirs.found.keys() - ours.found.keys())
    extra = sorted(ours.found.keys() - theirs.found.keys())
    problems = list(ours.problems)
    problems += [Problem("missing", f"no map of {theirs.found[key]}") for key in missing]
    problems += [Problem("extra", f"no target of {ours.found[key]}") for key in extra]
    pairs = [
        MapPair(*split(key), ours.found[key], theirs.found[key])
        for key in sorted(ours.found.keys() & theirs.found.keys())
        if uncertain is None
    ]
    of_targets = list(theirs.problems)
    trimaps_of: dict[str, dict[str, Path]] = {}
    if uncertain is not None:
        of_targets += _of_trimaps(uncertain, theirs)
        for key in sorted(uncertain.found.keys() & theirs.found.keys()):
            (of_set, name), path = split(key), uncertain.found[key]
            trimaps_of.setdefault(of_set, {})[name] = path
            if key in ours.found:
                pair = MapPair(of_set, name, ours.found[key], theirs.found[key], trimap=path)
                pairs.append(pair)
    targets = Counter(split(key)[0] for key in {*theirs.found, *theirs.unread})
    remarks = [*ours.remarks, *theirs.remarks, *(uncertain.remarks if uncertain else ())]
    if not any(naming):
        remarks += [*_suffix_hint("map_suffix", extra, missing)]
        remarks += [*_suffix_hint("mask_suffix", missing, extra)]
        if uncertain is not None:
            known, true = uncertain.found.keys(), theirs.found.keys()
            remarks += [*_suffix_hint("trimap_suffix", known - true, true - known)]
    return Pairing(sorted(pairs), problems, dict(targets), remarks, of_targets, trimaps_of)


def are_ground_truth(pairs: Sequence[MapPair]) -> bool:
    """Whether the maps are the ground truth itself, by the contents of the first of them."""
    try:
        return bool(pairs) and all(
            pair.map.read_bytes() == pair.target.read_bytes() for pair in pairs[:_LOOKED_AT]
        )
    except OSError:  # which is a problem of its own, and listed as one
        return False


def image_folders(pairing: Pairing) -> set[Path]:
    """The folders that hold a map, a target or a trimap, links resolved."""
    files = (path for pair in pairing.pairs for path in (pair.map, pair.target, pair.trimap))
    return {path.parent.resolve() for path in files if path is not None}


Key = tuple[str, ...]


class _Listing:
    """The images below a folder by their keys, the names of those that are not read, and why.

    Where there are folders called as in `nameless`, only what is in them counts, and these folders
    are no part of a key.
    """

    def __init__(
        self,
        folder: Path,
        option: str,
        kind: str,
        prefix: str,
        suffix: str,
        nameless: frozenset[str] = TRUTH_FOLDERS,
    ) -> None:
        self._nameless = nameless
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
            if not is_map(path):
                continue
            if not _carries(path.stem, prefix, suffix):
                bare += 1
                continue
            (images if path.suffix.lower() in MAP_EXTENSIONS else unread).append(path)
        inner = any(self._is_inner(path, folder) for path in [*images, *unread])
        images, unread = (
            [path for path in paths if self._is_inner(path, folder) or not inner]
            for paths in (images, unread)
        )
        carried = " and ".join(
            f"{kind}_{place}={text}"
            for place, text in (("prefix", prefix), ("suffix", suffix))
            if text
        )
        if bare:
            self.remarks.append(f"{option}: {bare} images without {carried} left out")
        if not images:
            known = ", ".join(sorted(MAP_EXTENSIONS))
            there = f"; there are {_counted(unread)}" if unread else ""
            named = f" whose name has {carried}" if carried else ""
            raise UserError(f"{option}: no image in {folder}{named} (looked for {known}{there})")
        self._cut = len(prefix), len(suffix)
        self.unread.update(self._key(path, folder) for path in unread)
        self._take(images, folder)
        self.problems += _unread(unread, folder)

    def _take(self, images: Iterable[Path], folder: Path) -> None:
        for path in images:
            key = self._key(path, folder)
            if not path.is_file():
                text = f"{path}: no file (a link to nothing, or a device)"
                self.problems.append(Problem("unreadable", text))
                self.unread.add(key)
                continue
            if key in self.found:
                text = f"{self.found[key]} and {path} have one name; remove one"
                self.problems.append(Problem("twice", text))
            self.found.setdefault(key, path)

    def _key(self, path: Path, folder: Path) -> Key:
        *folders, name = path.relative_to(folder).with_suffix("").parts
        before, after = self._cut
        parts = (
            *(part for part in folders if part.lower() not in self._nameless),
            name[before : len(name) - after],
        )
        return tuple(unicodedata.normalize("NFC", part) for part in parts)

    def _is_inner(self, path: Path, folder: Path) -> bool:
        return any(part.lower() in self._nameless for part in path.relative_to(folder).parts[:-1])


def _of_trimaps(trimaps: _Listing, targets: _Listing) -> list[Problem]:
    """Targets without a trimap, and trimaps without a target."""
    missing = sorted(targets.found.keys() - trimaps.found.keys() - trimaps.unread)
    extra = sorted(trimaps.found.keys() - targets.found.keys() - targets.unread)
    return [
        *trimaps.problems,
        *(Problem("missing", f"no trimap of {targets.found[key]}") for key in missing),
        *(Problem("extra", f"no target of trimap {trimaps.found[key]}") for key in extra),
    ]


def _carries(stem: str, prefix: str, suffix: str) -> bool:
    """Whether a name has both, and something between them."""
    return (
        stem.startswith(prefix) and stem.endswith(suffix) and len(stem) > len(prefix) + len(suffix)
    )


def is_map_name(path: Path) -> bool:
    """Whether a file's name is one of a map, of a kind that is read or of another."""
    return path.suffix.lower() in MAP_EXTENSIONS | _OTHER_MAPS or is_image_name(path)


def is_map(path: Path) -> bool:
    """Whether a file's name is one of a map, and no evaluation has written it."""
    if not is_map_name(path):
        return False
    written = path.name in (WORST, HISTOGRAMS, KEPT) or path.name.startswith(CURVES_OF_SET)
    return not (written and any(path.with_name(name).is_file() for name in (JOURNAL, PROVENANCE)))


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


def _suffix_hint(option: str, longer: Collection[Key], shorter: Iterable[Key]) -> Iterator[str]:
    """What explains at least half of the longer names without a partner, and more than one."""
    names = {*shorter}
    endings = Counter(
        key[-1][cut:]
        for key in longer
        for cut in range(1, len(key[-1]))
        if (*key[:-1], key[-1][:cut]) in names
    )
    for ending, count in endings.most_common(1):
        if count > 1 and 2 * count >= len(longer):
            yield f"{count} names without a partner end with it: {option}={ending}"


def set_name_of(folder: Path) -> str:
    """The name of the data set whose masks lie in a folder: `ECSSD` of `ECSSD/masks`."""
    telling = (part for part in reversed(folder.resolve().parts) if not is_target_folder(part))
    return next(telling, folder.name)


def is_target_folder(part: str) -> bool:
    """Whether folders of this name hold targets and are no part of an image's name."""
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
