"""Reads every file of a set of masks or objects: `finecut check data=duts data.root=DIR`."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from omegaconf import DictConfig

from src.atomic import atomic_write, atomic_write_image
from src.datamodules.images import judge_mask, read_image
from src.datamodules.inspection import (
    UNWRITTEN,
    DuplicatePair,
    ImageStats,
    duplicates_between,
    duplicates_within,
    inspect_or_complain,
    noted,
    spread,
    summarize,
)
from src.datamodules.instance_sources import InstanceSource
from src.datamodules.mask_levels import ALL_BLACK, mixed_scales
from src.datamodules.pairs import DataError, scan_pairs
from src.datamodules.sources import Source, parse_sources, require_root
from src.errors import UserError
from src.progress import track
from src.settings.commands import CheckSettings
from src.settings.parse import parse_part, plain, require_data
from src.visualize import grid, mask_tile

_ROWS, _COLUMNS = 4, 8  # of a contact sheet
_TILE = 188  # pixels of a tile's longer side
Shown = TypeVar("Shown")
_SPLITS = ("train", "val", "test")
_SHOWN = 200


class ObjectStats(NamedTuple):
    """What is known of an object: its place in the source, its image's size, its share of it."""

    item: int
    megapixels: float
    share: float


def check_objects(
    sources: Mapping[str, Callable[[], InstanceSource]], output: Path, workers: int
) -> dict[str, Any]:
    """Read every object of the sets and draw some of them.

    Args:
        sources: Make the sets, by name.
        output: Folder for one contact sheet of each set.
        workers: Threads that read.

    Returns:
        The report: `problems` and `warnings`, one sentence each, and `sets`.
    """
    report: dict[str, Any] = {"problems": [], "warnings": [], "sets": {}}
    for label, make in sources.items():
        try:
            source = make()
        except DataError as error:
            report["problems"] += [f"{label}: {problem}" for problem in error.problems]
            continue
        found = _inspect_all(source, label, workers)
        facts = [entry for entry in found if isinstance(entry, ObjectStats)]
        report["problems"] += [f"{label}: {entry}" for entry in found if isinstance(entry, str)]
        report["sets"][label] = _summarize(facts)
        if facts:
            sheet = object_sheet(source, facts)
            path = output / f"{label.replace('/', '-')}.png"
            with noted(report, path):
                atomic_write_image(path, sheet)
    return report


def _inspect_all(source: InstanceSource, label: str, workers: int) -> list[ObjectStats | str]:
    def inspect(item: int) -> ObjectStats | str:
        try:
            mask = source.sample(item).mask
        except UserError as error:
            return str(error)
        if not mask.any():
            return f"{source.names[item]}: an object without a pixel"
        return ObjectStats(item, mask.size / 1e6, float((mask >= 128).mean()))

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        results = pool.map(inspect, range(len(source)))
        return list(track(results, f"reading {label}", len(source)))


def _summarize(facts: Sequence[ObjectStats]) -> dict[str, Any]:
    if not facts:
        return {"objects": 0, "expected": None}
    shares = np.array([fact.share for fact in facts])
    return {
        "objects": len(facts),
        "expected": None,
        "megapixels": spread(np.array([fact.megapixels for fact in facts])),
        "foreground": spread(shares),
        "foreground_histogram": np.histogram(shares, bins=10, range=(0, 1))[0].tolist(),
    }


def contact_sheet(facts: Sequence[ImageStats], rows: int = _ROWS) -> np.ndarray:
    """Tiles of the smallest, middle and largest foregrounds, uint8 RGB.

    Args:
        facts: Inspected pairs, at least one.
        rows: Rows of eight tiles.
    """

    def tile(fact: ImageStats) -> np.ndarray:
        scale = _TILE / max(fact.height, fact.width)
        size = max(1, round(fact.width * scale)), max(1, round(fact.height * scale))
        image = read_image(fact.pair.image, at_least=(size[1], size[0]))
        return mask_tile(image, judge_mask(fact.pair.mask).mask, _TILE)

    shown = _spread_out(sorted(facts, key=lambda fact: fact.foreground), rows * _COLUMNS)
    return grid([tile(fact) for fact in shown], _COLUMNS)


def object_sheet(source: InstanceSource, facts: Sequence[ObjectStats]) -> np.ndarray:
    """The smallest, middle and largest objects, each in its image, uint8 RGB."""
    shown = _spread_out(sorted(facts, key=lambda fact: fact.share), _ROWS * _COLUMNS)
    instances = (source.sample(fact.item) for fact in shown)
    return grid([mask_tile(one.image, one.mask, _TILE) for one in instances], _COLUMNS)


def _spread_out(ordered: Sequence[Shown], most: int) -> list[Shown]:
    """At most `most` of a sequence, from its first to its last."""
    count = min(most, len(ordered))
    return [ordered[i] for i in np.linspace(0, len(ordered) - 1, count).round().astype(int)]


def check(data: Mapping[str, Any], output: Path, workers: int) -> dict[str, Any]:
    """Inspect every file of the sets of a data config and write what was found.

    Args:
        data: The config's `root`, `train`, `val`, `test` and `allow_empty`.
        output: Folder for `report.json` and one contact sheet for each set.
        workers: Threads that decode.

    Returns:
        The report: `problems` and `warnings`, one sentence each, and `sets`.

    Raises:
        UserError: No set is named, or `data.root` is not set.
    """
    sources = {split: parse_sources(data.get(split), split) for split in _SPLITS}
    if not any(sources.values()):
        raise UserError("no set to check: data.train.images=DIR data.train.masks=DIR")
    require_root(data["root"], [s for split in sources.values() for s in split.values()])
    output.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"problems": [], "warnings": [], "sets": {}}
    facts: dict[str, list[ImageStats]] = {split: [] for split in _SPLITS}
    for split, named in sources.items():
        for name, source in named.items():
            facts[split] += _check_set(data, split, name, source, output, workers, report)
    for split in ("val", "test"):
        _report_twins(duplicates_between(facts["train"], facts[split]), split, report)
    _write(report, output)
    return report


def _check_set(
    data: Mapping[str, Any],
    split: str,
    name: str,
    source: Source,
    output: Path,
    workers: int,
    report: dict[str, Any],
) -> list[ImageStats]:
    label = name if name == split else f"{split}/{name}"
    try:
        pairs, problems = scan_pairs(data["root"], source, name)
    except DataError as error:
        pairs, problems = [], error.problems
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        allow_empty = bool(data.get("allow_empty"))
        results = pool.map(lambda pair: inspect_or_complain(pair, allow_empty), pairs)
        inspected = list(track(results, f"reading {label}", len(pairs)))
    facts = [result for result in inspected if isinstance(result, ImageStats)]
    problems += [result for result in inspected if isinstance(result, str)]
    warnings = [
        f"{twin.other.pair.image}: the same file as {twin.one.pair.image}"
        for twin in duplicates_within(facts)
    ]
    warnings += [
        f"{fact.pair.image}: holds several images; only the first is read"
        for fact in facts
        if fact.several
    ]
    for fact, mixed in zip(
        facts, mixed_scales([name] * len(facts), [fact.scale for fact in facts]), strict=True
    ):
        if mixed is not None:
            problems.append(f"{fact.pair.mask}: {mixed}")
        if fact.fault is not None:
            # A test image may well show nothing; the metrics have a rule for it.
            mild = split == "test" and fact.fault.startswith(ALL_BLACK)
            (warnings if mild else problems).append(f"{fact.pair.mask}: {fact.fault}")
    report["problems"] += [f"{label}: {problem}" for problem in problems]
    report["warnings"] += [f"{label}: {warning}" for warning in warnings]
    report["sets"][label] = {"expected": source.count, **summarize(facts)}
    if facts:
        sheet = output / f"{label.replace('/', '-')}.png"
        with noted(report, sheet):
            atomic_write_image(sheet, contact_sheet(facts))
    return facts


def _report_twins(twins: list[DuplicatePair], split: str, report: dict[str, Any]) -> None:
    for twin in twins:
        pair, of = twin.other.pair, twin.one.pair
        if twin.same_file:
            report["problems"].append(
                f"{split}/{pair.set}: {pair.image}: is also trained on, {of.image}"
            )
        else:
            report["warnings"].append(
                f"{split}/{pair.set}: {pair.image}: looks like {of.image}, which is trained on"
            )


def check_objects_of(cfg: DictConfig, output: Path) -> dict[str, Any]:
    """Read every object of a config's sets, as `check_objects` does, and write what was found.

    Raises:
        UserError: No set is named, or `data.root` is not set.
    """
    from src.instantiate import build

    named = {split: cfg.data[split] for split in ("train", "val")}
    named |= {f"test/{name}": node for name, node in (cfg.data.test or {}).items()}
    named = {label: node for label, node in named.items() if node is not None}
    if not named:
        raise UserError("no set to check: choose another data=…")
    require_root(cfg.data.root)
    output.mkdir(parents=True, exist_ok=True)
    makers = {label: partial(build(node), cfg.data.root) for label, node in named.items()}
    report = check_objects(makers, output, cfg.workers)
    _write(report, output)
    return report


def _write(report: dict[str, Any], output: Path) -> None:
    path = output / "report.json"
    with noted(report, path):
        atomic_write(path, json.dumps(report, indent=2, ensure_ascii=False))


def show(report: dict[str, Any], output: Path) -> None:
    """Print a report of `check`.

    Raises:
        UserError: At the end, where some of its files could not be written.
    """
    for label, facts in report["sets"].items():
        noun = "objects" if "objects" in facts else "images"
        count = facts[noun]
        line = f"{label}: {count} sound {'objects' if noun == 'objects' else 'pairs'}"
        if facts["expected"] is not None:
            line += f" (released: {facts['expected']})"
        if count:
            sizes, shares = facts["megapixels"], facts["foreground"]
            line += f", {sizes['smallest']:.2g} to {sizes['largest']:.2g} megapixels"
            line += f", foreground {100 * shares['smallest']:.2g}% to {shares['largest']:.1%}"
            line += f" (median {shares['median']:.0%})"
            histogram = ", ".join(map(str, facts["foreground_histogram"]))
            line += f"\n  {noun} with 0-10%, 10-20% … 90-100% foreground: {histogram}"
        print(line)
    for kind in ("warnings", "problems"):
        found = report[kind]
        print(f"{len(found)} {kind}", *(f"  {entry}" for entry in found[:_SHOWN]), sep="\n")
        if len(found) > _SHOWN:
            print(f"  … and {len(found) - _SHOWN} more in the report")
    if UNWRITTEN in report:  # what was found is not lost for it
        raise UserError("\n       ".join(report[UNWRITTEN]))
    print(f"report and contact sheets in {output}")


def main(cfg: DictConfig) -> int:
    """Check as the config says; the exit code is 1 if anything is wrong."""
    settings = parse_part(CheckSettings, cfg)
    require_data(cfg)
    data = plain(cfg.data)
    if "train" not in data:
        raise UserError(f"{data.get('_target_')} does not read image and mask files")
    output = Path(settings.output)
    if str(data["_target_"]).endswith("InstanceDataModule"):
        report = check_objects_of(cfg, output)
    else:
        report = check(data, output, settings.workers)
    show(report, output)
    return 1 if report["problems"] else 0
