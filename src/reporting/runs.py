"""Reads finished runs from their folders: config, results and provenance, never a checkpoint."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.paths import files_below
from src.plain_data import read_csv, read_json, read_yaml
from src.training.config import config_hash
from src.training.results import PER_IMAGE, RESULTS, digest
from src.weights import registry

ADVICE = "test the run again"
CONFIG, PROVENANCE = "config.yaml", "provenance.json"

Check = Callable[[Any], bool]
log = logging.getLogger(__name__)
# What may differ between the seeds of one recipe: machines, and what is measured afterwards.
_NOT_RECIPE = ("seed", "name", "objective", "metrics")
_NOT_RECIPE_DATA = ("seed", "root", "test")


def read_config(folder: Path) -> dict[str, Any]:
    """A run's saved config, with what tables need of it. Raises UserError naming the key."""
    path = folder / CONFIG
    config = read_yaml(path, ADVICE)
    data = config.get("data") or {}
    _require(path, {"name": config.get("name")}, _is_name, "a name")
    _require(path, {"published": config.get("published")}, _or_none(_is_text), "a recipe")
    _require(path, {"seed": config.get("seed")}, _is_whole, "a whole number")
    _require(path, {"fit": config.get("fit")}, _is_flag, "true or false")
    _require(path, {"model": config.get("model"), "data": data}, _is_mapping, "a mapping")
    _require(path, {"model.name": config["model"].get("name")}, _is_name, "a name")
    _require(path, {"weights": config.get("weights")}, _or_none(_is_text), "a path")
    tests = data.get("test")
    _require(path, {"data.test": tests}, _or_none(_is_mapping), "a mapping")
    counts = {
        f"data.test.{name}.count": node.get("count")
        for name, node in (tests or {}).items()
        if isinstance(node, Mapping)
    }
    _require(path, counts, _or_none(_is_count), "a number of images")
    return config


def read_provenance(folder: Path) -> dict[str, Any]:
    """What a run says of its code, data and weights. Raises UserError naming the key."""
    path = folder / PROVENANCE
    found = read_json(path, ADVICE)
    groups = ("protocol", "images", "git", "data", "weights", "checkpoint", "files")
    for key in groups:
        found[key] = {} if found.get(key) is None else found[key]
        _require(path, {key: found[key]}, _is_mapping, "a mapping")
    _require(path, _within(found, "protocol"), _is_text, "a text")
    _require(path, _within(found, "images"), _is_count, "a number of images")
    for key in ("weights", "checkpoint", "files"):
        _require(path, _within(found, key), _or_none(_is_text), "a text")
    git = {"git.commit": found["git"].get("commit")}
    _require(path, git, _or_none(_is_text), "a commit")
    _require(path, {"git.dirty": found["git"].get("dirty")}, _or_none(_is_flag), "true or false")
    _require(path, _within(found, "data"), _or_none(_is_mapping), "a mapping")
    for part, facts in found["data"].items():
        place, facts = f"data.{part}", facts or {}
        _require(path, {f"{place}.sets": facts.get("sets")}, _or_none(_are_names), "names")
        _require(path, {f"{place}.count": facts.get("count")}, _or_none(_is_count), "a number")
        _require(path, {f"{place}.sha256": facts.get("sha256")}, _or_none(_is_text), "a text")
    return found


def read_results(folder: Path) -> dict[str, dict[str, float]]:
    """`{test set: {metric: value}}`; what is undefined on a set (`null`) is left out.

    Raises UserError naming what is no finite number.
    """
    path = folder / RESULTS
    found = read_json(path, ADVICE, finite=True)
    _require(path, found, _is_mapping, "a mapping of metrics")
    for name in found:
        _require(path, _within(found, name), _or_none(_is_number), "a finite number")
    return {
        str(name): {metric: float(v) for metric, v in row.items() if v is not None}
        for name, row in found.items()
    }


def require_unchanged(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Refuse results that are not the ones a run's provenance is of; older runs do not say."""
    for name in (RESULTS, PER_IMAGE):
        stated = provenance["files"].get(name)
        if stated is not None and stated != digest(folder / name):
            raise UserError(
                f"{folder / name} is not what its test wrote, by the checksum in {PROVENANCE}; "
                f"{ADVICE}"
            )


def _require(path: Path, values: Mapping[str, Any], check: Check, wanted: str) -> None:
    for key, value in values.items():
        if not check(value):
            shown = repr(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            raise UserError(f"{path}: {key} is {shown}, not {wanted}; {ADVICE}")


def _within(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {f"{key}.{inner}": value for inner, value in found[key].items()}


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 0


def _is_number(value: Any) -> bool:
    try:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and math.isfinite(float(value))
        )
    except OverflowError:  # a whole number with hundreds of digits
        return False


class Run:
    """A finished run.

    Attributes:
        folder: Where it lies.
        config: As it was saved.
        provenance: Code, data, weights and protocol.
        results: `{test set: {metric: value}}`, means over several sets included.

    Raises:
        UserError: A file is damaged, holds other values than a run writes, or is not what the
            run's test wrote.
    """

    def __init__(self, folder: Path, means: Mapping[str, Sequence[str]]) -> None:
        self.folder = folder
        self.config = read_config(folder)
        self.provenance = read_provenance(folder)
        self.results = read_results(folder)
        require_unchanged(folder, self.provenance)
        self.members = {
            name: tuple(sets)
            for name, sets in means.items()
            if all(member in self.results for member in sets)
        }
        for name, sets in self.members.items():
            self.results[name] = _mean([self.results[member] for member in sets])

    @property
    def name(self) -> str:
        """The run's name; a recipe's runs carry its place, `isnet/dis5k`."""
        return str(self.config["name"])

    @property
    def printed_as(self) -> str:
        """The recipe whose printed numbers stand beside this run: its own, or one it names."""
        return str(self.config.get("published") or self.name)

    @property
    def model(self) -> str:
        return str(self.config["model"]["name"])

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def trained(self) -> bool:
        """Whether the run trained; otherwise it tested `weights` as they were."""
        return bool(self.config["fit"])

    @property
    def weights(self) -> str | None:
        """The checkpoint it started from or tested."""
        path = self.config.get("weights")
        return str(path) if path else None

    @property
    def weights_name(self) -> str | None:
        """The checkpoint's name in the registry, else its file's; ours also by their run."""
        if self.weights is None:
            return None
        entry = registry.find(Path(self.weights).name)
        path = Path(self.weights)
        parent = f"{path.parent.parent.name}/" if path.suffix == ".ckpt" else ""
        return entry.name if entry else f"{parent}{path.name}"

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The config without what the seeds of one recipe differ in."""
        kept = {key: value for key, value in self.config.items() if key not in _NOT_RECIPE}
        for use in ("data", "base"):
            if isinstance(kept.get(use), dict):
                kept[use] = {k: v for k, v in kept[use].items() if k not in _NOT_RECIPE_DATA}
        return kept

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for runs that differ in the seed alone."""
        return self.name, self.model, config_hash(self.recipe)

    @property
    def protocol(self) -> dict[str, str]:
        """How each metric was computed, in words."""
        return dict(self.provenance.get("protocol", {}))

    @property
    def dirty(self) -> bool | None:
        """Whether the code had uncommitted changes; None where it is not known."""
        dirty = self.provenance.get("git", {}).get("dirty")
        return None if dirty is None else bool(dirty)

    def images(self, test_set: str) -> int:
        """How many images of a set were scored."""
        sets = self.members.get(test_set, (test_set,))
        counted: dict[str, int] = self.provenance.get("images", {})
        return sum(counted.get(name, 0) for name in sets)

    def expected_images(self, test_set: str) -> int | None:
        """How many the set has, where the config or the data's fingerprint says so."""
        counts = [self._expected(name) for name in self.members.get(test_set, (test_set,))]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def fingerprint(self, part: str) -> dict[str, Any]:
        """What identifies the files of `train`, `val` or `test/<set>`."""
        return dict(self.provenance.get("data", {}).get(part) or {})

    def sets(self, part: str) -> tuple[str, ...]:
        """Names of the data sets in `train`, with those that fine-tuning mixed in, or in `val`."""
        uses = (part, "base/train") if part == "train" else (part,)
        named = [self.fingerprint(use).get("sets", ()) for use in uses]
        return tuple(dict.fromkeys(name for names in named for name in names))

    def per_image(self, test_set: str) -> list[dict[str, str]]:
        """The set's lines of `per_image.csv`, in its order; none where the file is not there."""
        path = self.folder / PER_IMAGE
        if not path.is_file():
            return []
        return [row for row in read_csv(path, ADVICE) if row.get("set") == test_set]

    def _expected(self, test_set: str) -> int | None:
        node = ((self.config.get("data") or {}).get("test") or {}).get(test_set)
        count = node.get("count") if isinstance(node, dict) else None
        count = count or self.fingerprint(f"test/{test_set}").get("count")
        return int(count) if count is not None else None


def collect(
    roots: Iterable[str | Path],
    experiment: str | None = None,
    means: Mapping[str, Sequence[str]] | None = None,
    problems: list[str] | None = None,
) -> list[Run]:
    """The finished runs under the folders, of a recipe or paper if `experiment` is given, sorted.

    Args:
        roots: Folders that hold runs, followed through links.
        experiment: A recipe, a paper or the name of runs; None for all.
        means: Names of means, each with the sets that it is over.
        problems: Gains a line for each run that cannot be read, which is then left out; without
            it, such a run is an error.

    Raises:
        UserError: A folder is not there or holds no such run.
    """
    complaints: list[str] = []
    folders = sorted({path.parent for root in roots for path in _result_files(Path(root))})
    runs = []
    for folder in folders:
        if not (folder / CONFIG).is_file() or not (folder / PROVENANCE).is_file():
            log.info("passed over %s: no run of train.py or evaluate.py weights=", folder)
            continue
        try:
            run = Run(folder, means or {})
        except UserError as error:
            if problems is None:
                raise
            complaints.append(str(error))
            continue
        if not run.provenance.get("finished"):
            log.warning("passed over %s: it is not finished", folder)
        elif experiment is None or belongs(run.name, experiment):
            runs.append(run)
    if problems is not None:
        problems += complaints
    if not runs:
        wanted = f" of {experiment}" if experiment else ""
        named = ", ".join(map(str, roots))
        damaged = "".join(f"\n  {complaint}" for complaint in complaints)
        raise UserError(
            f"no finished run{wanted} in {named}; train one first, or set runs=FOLDER{damaged}"
        )
    return runs


def belongs(name: str, experiment: str) -> bool:
    """Whether a run's name is the recipe, or a recipe of the paper, that was asked for."""
    return name == experiment or name.startswith(f"{experiment}/")


def _result_files(root: Path) -> list[Path]:
    if not root.is_dir():
        raise UserError(f"runs: no folder {root}")
    return [path for path in files_below(root, hidden=True) if path.name == RESULTS]


def _mean(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    shared = [metric for metric in results[0] if all(metric in result for result in results)]
    return {metric: sum(result[metric] for result in results) / len(results) for metric in shared}
