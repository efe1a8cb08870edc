"""Reads finished runs from their folders: config, results and provenance, never a checkpoint."""

import csv
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from src.errors import UserError
from src.networks import registry
from src.runs.freeze import CONFIG, config_hash, thaw
from src.runs.results import PER_IMAGE, RESULTS

log = logging.getLogger(__name__)

PROVENANCE = "provenance.json"
# What may differ between the seeds of one recipe: machines, and what is measured afterwards.
_NOT_RECIPE = ("seed", "name", "checkpoint", "objective", "metrics")
_NOT_RECIPE_DATA = ("seed", "root", "test")


class Run:
    """A finished run.

    Attributes:
        folder: Where it lies.
        config: As it was frozen.
        provenance: Code, data, weights and protocol.
        results: `{test set: {metric: value}}`, means over several sets included.
    """

    def __init__(self, folder: Path, means: Mapping[str, Sequence[str]]) -> None:
        self.folder = folder
        frozen = thaw(folder, located=False)
        self.config: dict[str, Any] = OmegaConf.to_container(frozen, resolve=True)  # type: ignore[assignment]
        self.provenance: dict[str, Any] = read_json(folder / PROVENANCE)
        self.results: dict[str, dict[str, float]] = read_json(folder / RESULTS)
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
        path = self.config.get("init_from") or self.config.get("checkpoint")
        return str(path) if path else None

    @property
    def weights_name(self) -> str | None:
        """The checkpoint's name in the registry, else its file's; ours also by their run."""
        if self.weights is None:
            return None
        entry = registry.find(Path(self.weights).name)
        path = Path(self.weights)
        parent = f"{path.parents[1].name}/" if path.suffix == ".ckpt" else ""
        return entry.name if entry else f"{parent}{path.name}"

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The config without what the seeds of one recipe differ in."""
        kept = {key: value for key, value in self.config.items() if key not in _NOT_RECIPE}
        for use in ("data", "base"):
            if isinstance(kept.get(use), dict):
                kept[use] = {k: v for k, v in kept[use].items() if k not in _NOT_RECIPE_DATA}
        if not self.trained:
            kept["checkpoint"] = self.config.get("checkpoint")
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
        with path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if row["set"] == test_set]

    def _expected(self, test_set: str) -> int | None:
        node = (self.config.get("data", {}).get("test") or {}).get(test_set)
        count = node.get("count") if isinstance(node, dict) else None
        count = count or self.fingerprint(f"test/{test_set}").get("count")
        return int(count) if count is not None else None


def collect(
    roots: Iterable[str | Path],
    experiment: str | None = None,
    means: Mapping[str, Sequence[str]] | None = None,
) -> list[Run]:
    """The finished runs under the folders, of a recipe or paper if `experiment` is given, sorted.

    Raises UserError if a folder is not there or holds no such run.
    """
    folders = sorted({path.parent for root in roots for path in _result_files(Path(root))})
    runs = []
    for folder in folders:
        if not (folder / CONFIG).is_file() or not (folder / PROVENANCE).is_file():
            log.info("passed over %s: no run of train.py or evaluate.py ckpt=", folder)
            continue
        run = Run(folder, means or {})
        if not run.provenance.get("finished"):
            log.warning("passed over %s: it is not finished", folder)
        elif experiment is None or belongs(run.name, experiment):
            runs.append(run)
    if not runs:
        wanted = f" of {experiment}" if experiment else ""
        named = ", ".join(map(str, roots))
        raise UserError(f"no finished run{wanted} in {named}; train one first, or set runs=FOLDER")
    return runs


def belongs(name: str, experiment: str) -> bool:
    """Whether a run's name is the recipe, or a recipe of the paper, that was asked for."""
    return name == experiment or name.startswith(f"{experiment}/")


def _result_files(root: Path) -> list[Path]:
    if not root.is_dir():
        raise UserError(f"runs: no folder {root}")
    return list(root.rglob(RESULTS))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError that names a damaged file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); test the run again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no JSON object; test the run again")
    return content


def _mean(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    shared = [metric for metric in results[0] if all(metric in result for result in results)]
    return {metric: sum(result[metric] for result in results) / len(results) for metric in shared}
