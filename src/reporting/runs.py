"""Reads what tables are made of: finished runs, scored checkpoints and scored folders of maps.

Only their files are read, `config.yaml` of a run and those of `src.results`, never a checkpoint.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import StrictBool, StrictInt, StrictStr, TypeAdapter
from pydantic.types import StringConstraints

from src.errors import UserError
from src.metrics import describe
from src.paths import files_below
from src.plain_data import read_yaml
from src.results.derived import derive, follows
from src.results.folder import (
    RUN_CONFIG,
    ResultsFolder,
    advice_for,
    has_results,
    parse_as,
    read_results_folder,
)
from src.results.schema import RESULTS, Count, DataPart
from src.training.config import config_hash
from src.weights import registry

log = logging.getLogger(__name__)
# What may differ between the seeds of one recipe: machines, and what is measured afterwards.
_NOT_RECIPE = ("seed", "name", "objective", "metrics")
_NOT_RECIPE_DATA = ("seed", "root", "test")

FilledText = Annotated[str, StringConstraints(strict=True, pattern=r"\S")]


@dataclass(frozen=True)
class ModelConfig:
    """Of a run's config, what tables need of the model."""

    name: FilledText


@dataclass(frozen=True)
class DataConfig:
    """Of a run's config, what tables need of the data: the test sets, each as it is configured."""

    test: dict[str, Any] | None = None

    def count(self, test_set: str) -> int | None:
        """How many images a test set has to have, where the config says so."""
        node = (self.test or {}).get(test_set)
        return node.get("count") if isinstance(node, dict) else None


@dataclass(frozen=True)
class RunConfig:
    """A run's saved config, as far as tables need it. Folders of maps have one that says nothing.

    Attributes:
        name: Of the run; a recipe's runs carry its place, `isnet/dis5k`.
        seed: Of training.
        fit: Whether the run trained; otherwise it tested `weights` as they were.
        model: The model.
        data: The data.
        published: The recipe whose printed numbers stand beside the run; None: its own.
        weights: The checkpoint it started from or tested.
        recipe: The config without what the seeds of one recipe differ in.
    """

    name: FilledText
    seed: StrictInt
    fit: StrictBool
    model: ModelConfig
    data: DataConfig = field(default_factory=DataConfig)
    published: StrictStr | None = None
    weights: StrictStr | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


_CONFIG: TypeAdapter[RunConfig] = TypeAdapter(RunConfig)
_COUNT: TypeAdapter[int | None] = TypeAdapter(Count | None)


def read_config(folder: Path) -> RunConfig:
    """A run's saved config. Raises UserError naming the key of what no run would save."""
    path, advice = folder / RUN_CONFIG, advice_for(folder)
    found = read_yaml(path, advice)
    given = {key: found[key] for key in RunConfig.__dataclass_fields__ if key in found}
    given["data"] = {} if given.get("data") is None else given["data"]
    config: RunConfig = parse_as(_CONFIG, {**given, "recipe": _recipe(found)}, path, advice)
    for name in config.data.test or {}:
        try:
            parse_as(_COUNT, config.data.count(name), path, advice)
        except UserError as error:
            raise UserError(f"{error} (data.test.{name}.count)") from None
    return config


def _recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in _NOT_RECIPE}
    for use in ("data", "base"):
        if isinstance(kept.get(use), dict):
            kept[use] = {k: v for k, v in kept[use].items() if k not in _NOT_RECIPE_DATA}
    return kept


def _config_of_maps(found: ResultsFolder) -> RunConfig:
    # Two folders of one method are two rows: nothing says that they are seeds of one training.
    recipe = {"maps": str(found.path)}
    return RunConfig(found.method, 0, False, ModelConfig(found.method), recipe=recipe)


class Run:
    """One scored method: a finished run, a checkpoint that was scored, or a folder of maps.

    Attributes:
        folder: Where it lies.
        scored: What the folder holds of results.
        config: As it was saved; of maps, one that says nothing.
        results: `{test set: {metric: value}}`, means over several sets included; what is undefined
            on a set is left out. Metrics that are asked for and not stored are there where they
            follow from what is.
        members: The sets that each mean is over.

    Raises:
        UserError: A file is damaged, holds other values than finecut writes, or was changed since.
    """

    def __init__(
        self, folder: Path, means: Mapping[str, Sequence[str]], metrics: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.scored = read_results_folder(folder)
        is_run = self.scored.kind != "maps"
        self.config = read_config(folder) if is_run else _config_of_maps(self.scored)
        self._derived: dict[str, str] = {}
        self.results = {
            name: {metric: value for metric, value in row.items() if not math.isnan(value)}
            for name, row in self._with_derived(metrics).items()
        }
        self.members = {
            name: tuple(sets)
            for name, sets in means.items()
            if all(member in self.results for member in sets)
        }
        for name, sets in self.members.items():
            self.results[name] = _mean([self.results[member] for member in sets])

    @property
    def name(self) -> str:
        """The run's name, or what the maps are called; a recipe's runs carry its place."""
        return self.config.name

    @property
    def printed_as(self) -> str:
        """The recipe whose printed numbers stand beside this run: its own, or one it names."""
        return self.config.published or self.name

    @property
    def is_maps(self) -> bool:
        """Whether maps were scored, whoever made them."""
        return self.scored.kind == "maps"

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def trained(self) -> bool:
        """Whether the run trained; otherwise it tested `weights` as they were."""
        return self.config.fit

    @property
    def weights(self) -> str | None:
        """The checkpoint it started from or tested."""
        return self.config.weights or None

    @property
    def weights_name(self) -> str | None:
        """The checkpoint's name in the registry, else its file's; ours also by their run."""
        if self.weights is None:
            return None
        entry = registry.find(Path(self.weights).name)
        path = Path(self.weights)
        parent = f"{path.parent.parent.name}/" if path.suffix == ".ckpt" else ""
        return entry.name if entry else f"{parent}{path.name}"

    @property
    def recipe(self) -> dict[str, Any]:
        """The config without what the seeds of one recipe differ in."""
        return self.config.recipe

    @cached_property
    def key(self) -> tuple[str, str, str]:
        """Equal for runs that differ in the seed alone."""
        return self.name, self.config.model.name, config_hash(self.recipe)

    @property
    def protocol(self) -> Mapping[str, str]:
        """How each metric was computed, in words."""
        return {**self.scored.protocol, **self._derived}

    @property
    def commit(self) -> str | None:
        """Of the code; None where it is not known."""
        return self.scored.provenance.git.commit

    @property
    def dirty(self) -> bool | None:
        """Whether the code had uncommitted changes; None where it is not known."""
        return self.scored.provenance.git.dirty

    def images(self, test_set: str) -> int:
        """How many images of a set were scored."""
        sets = self.members.get(test_set, (test_set,))
        return sum(self.scored.provenance.images.get(name, 0) for name in sets)

    def expected_images(self, test_set: str) -> int | None:
        """How many the set has, where the config or the data's fingerprint says so."""
        counts = [self._expected(name) for name in self.members.get(test_set, (test_set,))]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def fingerprint(self, part: str) -> DataPart:
        """What identifies the files of `train`, `val` or `test/<set>`."""
        return self.scored.provenance.data.get(part) or DataPart()

    def sets(self, part: str) -> tuple[str, ...]:
        """Names of the data sets in `train`, with those that fine-tuning mixed in, or in `val`."""
        uses = (part, "base/train") if part == "train" else (part,)
        named = [self.fingerprint(use).sets or () for use in uses]
        return tuple(dict.fromkeys(name for names in named for name in names))

    def _with_derived(self, metrics: Sequence[str]) -> dict[str, dict[str, float]]:
        found = {name: dict(row) for name, row in self.scored.values.items()}
        # What is stored by another protocol stays what it is, and is refused beside others.
        lacking = [metric for metric in metrics if metric not in self.scored.protocol]
        for name, row in found.items() if lacking else ():
            wanted = [metric for metric in lacking if follows(self.scored, name, metric)]
            if wanted:
                row |= derive(self.scored, name, wanted)[0]
                self._derived |= {metric: describe(metric) for metric in wanted}
        return found

    def _expected(self, test_set: str) -> int | None:
        return self.config.data.count(test_set) or self.scored.expected_images(test_set)


def collect(
    roots: Iterable[str | Path],
    experiment: str | None = None,
    means: Mapping[str, Sequence[str]] | None = None,
    problems: list[str] | None = None,
    metrics: Sequence[str] = (),
) -> list[Run]:
    """All that was scored under the folders, of a recipe or paper if `experiment` is given, sorted.

    Args:
        roots: Folders that hold runs, scored checkpoints or scored maps, followed through links.
        experiment: A recipe, a paper or the name of runs; None for all.
        means: Names of means, each with the sets that it is over.
        problems: Gains a line for each run that cannot be read, which is then left out; without
            it, such a run is an error.
        metrics: To be added where they are not stored and follow from what is.

    Raises:
        UserError: A folder is not there or holds no such run.
    """
    complaints: list[str] = []
    folders = sorted({path.parent for root in roots for path in _result_files(Path(root))})
    runs = []
    for folder in folders:
        if not has_results(folder):
            log.info("passed over %s: nothing says how its numbers were made", folder)
            continue
        try:
            run = Run(folder, means or {}, metrics)
        except UserError as error:
            if problems is None:
                raise
            complaints.append(str(error))
            continue
        if not (run.is_maps or run.scored.provenance.finished):
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
            f"no finished run{wanted} and no scored maps in {named}; train one first, or set "
            f"runs=FOLDER{damaged}"
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
