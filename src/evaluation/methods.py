"""Which folder holds the maps of which method on which data set.

Either found in two folders, `maps/<method>/<set>` (or `maps/<set>/<method>`) and
`ground_truth/<set>`, or named in a YAML file:

    sets:
      SOD: data/SOD/masks
      ECSSD: {ground_truth: data/ECSSD/gt, mask_suffix: _mask}
      P3M: {ground_truth: data/P3M/mask, trimaps: data/P3M/trimap}
    methods:
      DSS: maps/dss/{set}
      BASNet: {maps: maps/{set}_basnet, map_suffix: _pred}
      PiCANet: {maps: {SOD: picanet/sod, ECSSD: picanet/ecssd}, map_prefix: sal_}

Paths are relative to the file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from src.errors import CommandError, UserError
from src.evaluation.matching import (
    PLAIN_NAMES,
    Naming,
    Problem,
    is_map,
    is_target_folder,
    set_name_of,
)
from src.paths import files_below
from src.plain_data import read_yaml
from src.settings.parse import parse
from src.settings.schema import Settings, Text, setting

FILE_SUFFIXES = (".yaml", ".yml")
_SET = "{set}"
_ADVICE = "docs/metrics.md shows such a file"


@dataclass(frozen=True)
class MethodOnSet:
    """The maps that one method made of one data set.

    Attributes:
        method: Name of the method.
        set: Name of the data set.
        maps: Folder of its maps.
        ground_truth: Folder of the set's masks.
        naming: What files carry before and after an image's name.
        trimaps: Folder of the set's trimaps; None where it has none.
    """

    method: str
    set: str
    maps: Path
    ground_truth: Path
    naming: Naming = PLAIN_NAMES
    trimaps: Path | None = None


@dataclass(frozen=True)
class MethodPlan:
    """Methods and data sets that are to be scored for one table.

    Attributes:
        entries: A method on a set each, method by method.
        columns: The data sets in the order of the table, those without an entry among them.
        problems: A method without a set, a folder that is no set's.
        remarks: How the folders were understood.
    """

    entries: list[MethodOnSet]
    columns: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(entry.method for entry in self.entries))

    @property
    def sets(self) -> list[str]:
        """Those that a method was scored on, in the order of the table."""
        scored = {entry.set for entry in self.entries}
        return [name for name in self.columns if name in scored]


class _SetSettings(Settings):
    ground_truth: Text = setting("folder of masks")
    mask_prefix: str = setting("what masks carry before the name", default="")
    mask_suffix: str = setting("what masks carry after the name", default="")
    trimaps: Text | None = setting("folder of trimaps, for metrics that need them", default=None)
    trimap_prefix: str = setting("what trimaps carry before the name", default="")
    trimap_suffix: str = setting("what trimaps carry after the name", default="")


class _MethodSettings(Settings):
    maps: Text | dict[str, Text] = setting("folder of maps, with {set} in it, or one for each set")
    map_prefix: str = setting("what maps carry before the name", default="")
    map_suffix: str = setting("what maps carry after the name", default="")


class _FileSettings(Settings):
    sets: dict[str, Any] = setting("a folder of masks by data set", min_length=1)
    methods: dict[str, Any] = setting("a folder of maps by method", min_length=1)


def read_plan(path: Path) -> MethodPlan:
    """The methods and sets that a YAML file names.

    Raises:
        UserError: The file is damaged, has a key that there is not, or names nothing.
    """
    content = _parsed(_FileSettings, read_yaml(path, _ADVICE), path)
    sets = {
        name: _parsed(_SetSettings, _with_key(value, "ground_truth"), f"{path}: sets.{name}")
        for name, value in content.sets.items()
    }
    methods = {
        name: _parsed(_MethodSettings, _with_key(value, "maps"), f"{path}: methods.{name}")
        for name, value in content.methods.items()
    }
    plan = MethodPlan([], list(sets))
    for method, given in methods.items():
        folders = _folders_of(given.maps, sets, f"{path}: methods.{method}")
        for name in sorted(set(folders) - set(sets)):
            plan.problems.append(Problem("extra", f"{path}: {method} has maps of {name}, no set"))
        for name, target in sets.items():
            if name not in folders:
                text = f"{path}: {method} names no folder of {name}"
                plan.problems.append(Problem("missing", text))
                continue
            naming = Naming(
                *(given.map_prefix, given.map_suffix, target.mask_prefix, target.mask_suffix),
                *(target.trimap_prefix, target.trimap_suffix),
            )
            maps, masks = (path.parent / p for p in (folders[name], target.ground_truth))
            trimaps = None if target.trimaps is None else path.parent / target.trimaps
            plan.entries.append(MethodOnSet(method, name, maps, masks, naming, trimaps))
    return _checked(plan)


def find_plan(maps: Path, ground_truth: Path, naming: Naming = PLAIN_NAMES) -> MethodPlan | None:
    """The methods and sets that two folders hold; None where `maps` are those of one method.

    Each folder below `ground_truth` is a data set; where it has none, it is one itself. Folders of
    `maps` that are called as the sets are one method's, unless the maps lie in folders within.
    Capital letters do not count in a set's name.

    Raises:
        UserError: A folder is not there, or no folder of `maps` fits to any set.
    """
    for option, folder in (("maps", maps), ("ground_truth", ground_truth)):
        if not folder.is_dir():
            raise UserError(f"{option}: no folder {folder}")
    outer = _image_folders(maps)
    if not outer:
        return None
    # `SOD/images` beside `SOD/masks` is no set: SOD is.
    inner = [] if _has_target_folder(ground_truth) else _image_folders(ground_truth)
    targets = {path.name: path for path in inner} or {set_name_of(ground_truth): ground_truth}
    known = {name.casefold(): name for name in targets}
    if not inner:
        return _methods_on_one_set(maps, outer, *next(iter(targets.items())), naming)
    by_set = [path for path in outer if path.name.casefold() in known]
    if by_set and not any(_image_folders(path) and not _has_maps(path) for path in by_set):
        return None
    plan = MethodPlan([], list(targets))
    if by_set:
        plan.remarks.append(f"maps: {maps} holds <set>/<method>")
        found = {(m.name, s.name): m for s in by_set for m in _image_folders(s)}
        stray = [path for path in outer if path not in by_set]
    else:
        plan.remarks.append(f"maps: {maps} holds <method>/<set>")
        found = {(m.name, s.name): s for m in outer for s in _image_folders(m)}
        stray = [path for path in outer if not _image_folders(path)]
        if not any(name.casefold() in known for _, name in found):
            # Folders of neither methods nor sets: as before, a name each without a partner.
            return None
    plan.problems.extend(Problem("extra", f"{path}: neither a method nor a set") for path in stray)
    plan.problems.extend([*_empty(maps), *_empty(ground_truth)])
    _fill(plan, found, targets, naming)
    return _checked(plan)


def _methods_on_one_set(
    maps: Path, folders: Iterable[Path], name: str, target: Path, naming: Naming
) -> MethodPlan:
    """Methods whose maps lie in `maps/<method>`, or there in a folder that is called as the set."""
    plan = MethodPlan([], [name], remarks=[f"maps: a method in each folder, all of {name}"])
    for method in folders:
        inner = [p for p in _image_folders(method) if p.name.casefold() == name.casefold()]
        source = inner[0] if inner and not _has_maps(method) else method
        plan.entries.append(MethodOnSet(method.name, name, source, target, naming))
    plan.problems.extend(_empty(maps))
    return _checked(plan)


def _fill(
    plan: MethodPlan,
    found: Mapping[tuple[str, str], Path],
    targets: Mapping[str, Path],
    naming: Naming,
) -> None:
    """Entries of what has a set, problems of what has none and of sets that a method lacks."""
    spelled = {name.casefold(): name for name in targets}
    by_key = {(method, name.casefold()): path for (method, name), path in found.items()}
    for (method, name), path in found.items():
        if name.casefold() not in spelled:
            text = f"{path}: {method} on {name}, of which there is no ground truth"
            plan.problems.append(Problem("extra", text))
    for method in dict.fromkeys(method for method, _ in found):
        for key, name in spelled.items():
            if (method, key) in by_key:
                path = by_key[method, key]
                plan.entries.append(MethodOnSet(method, name, path, targets[name], naming))
            else:
                plan.problems.append(Problem("missing", f"{method} has no maps of {name}"))


def with_trimaps(plan: MethodPlan, folder: Path) -> MethodPlan:
    """The plan with trimaps of each set in the folder that is called as it, or all in the folder.

    Raises:
        UserError: There is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"trimaps: no folder {folder}")
    inner = {path.name.casefold(): path for path in folder.iterdir() if path.is_dir()}
    found = {name: inner.get(name.casefold()) for name in plan.columns}
    if len(found) == 1:
        found = {name: path or folder for name, path in found.items()}
    entries = [replace(entry, trimaps=found[entry.set]) for entry in plan.entries]
    return replace(plan, entries=entries)


def _checked(plan: MethodPlan) -> MethodPlan:
    """The plan with what can be said of its folders without reading an image."""
    if not plan.entries:
        listed = "".join(f"\n  {problem}" for problem in plan.problems[:20])
        raise UserError(f"no folder of maps fits to a data set{listed}")
    problems = list(plan.problems)
    for folder in dict.fromkeys(entry.ground_truth for entry in plan.entries):
        if not folder.is_dir():
            problems.append(Problem("missing", f"ground_truth: no folder {folder}"))
    for entry in plan.entries:
        if not entry.maps.is_dir():
            text = f"{entry.method} on {entry.set}: no folder {entry.maps}"
            problems.append(Problem("missing", text))
    return replace(plan, problems=problems)


def _folders_of(given: str | Mapping[str, str], sets: Iterable[str], place: str) -> dict[str, str]:
    if not isinstance(given, str):
        return dict(given)
    names = list(sets)
    if _SET not in given and len(names) > 1:
        text = f"maps={given} is one folder of {len(names)} sets: put {_SET} in it"
        raise UserError(f"{place}: {text}")
    return {name: given.replace(_SET, name) for name in names}


_Schema = TypeVar("_Schema", bound=Settings)


def _parsed(schema: type[_Schema], values: Mapping[str, Any], place: Path | str) -> _Schema:
    try:
        return parse(schema, values)
    except CommandError as error:
        raise UserError(f"{place}: {error}") from None


def _with_key(value: Any, key: str) -> dict[str, Any]:
    """What stands for a mapping with nothing but this key."""
    if isinstance(value, Mapping) and key in value:
        return dict(value)
    return {key: value}


def _image_folders(folder: Path) -> list[Path]:
    """Folders directly below one that hold images, by name; those of masks are no sets, nor are
    those that an evaluation has written.
    """
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    return [
        path
        for path in inner
        if not path.name.startswith(".")
        and not is_target_folder(path.name)
        and any(is_map(file) for file in files_below(path))
    ]


def _empty(folder: Path) -> list[Problem]:
    """Folders directly within that hold no file at all: maps or masks were to come there."""
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    return [
        Problem("missing", f"{path}: an empty folder")
        for path in inner
        if not path.name.startswith(".") and not any(True for _ in files_below(path))
    ]


def _has_maps(folder: Path) -> bool:
    """Whether maps lie directly in a folder, or in one of its folders of masks."""
    return any(map(is_map, folder.iterdir())) or _has_target_folder(folder)


def _has_target_folder(folder: Path) -> bool:
    """Whether maps lie in a folder of masks directly within."""
    return any(
        is_target_folder(path.name) and path.is_dir() and any(map(is_map, path.iterdir()))
        for path in folder.iterdir()
    )
