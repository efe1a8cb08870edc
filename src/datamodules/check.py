"""Looks at every file of a data set: `python -m src.datamodules.check data=duts data.root=DIR`.

Prints what is wrong, writes `report.json` and a contact sheet, and exits with 1 if anything is.
"""

import json
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from src import cli
from src.errors import UserError
from src.progress import tracked
from src.settings.commands import CheckSettings
from src.settings.parse import parse_part, plain, require_data
from src.whole_file import write_whole
from src.whole_image import write_image

from .check_objects import check_objects
from .contact_sheet import contact_sheet
from .duplicates import Twin, twins_between, twins_within
from .inspection import UNWRITTEN, Facts, inspect_or_complain, noted, summarise
from .mask_levels import ALL_BLACK, mixed_scales
from .pairs import DataError, scan_pairs
from .sources import Source, parse_sources, require_root

_SPLITS = ("train", "val", "test")
_SHOWN = 200


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
    facts: dict[str, list[Facts]] = {split: [] for split in _SPLITS}
    for split, named in sources.items():
        for name, source in named.items():
            facts[split] += _check_set(data, split, name, source, output, workers, report)
    for split in ("val", "test"):
        _report_twins(twins_between(facts["train"], facts[split]), split, report)
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
) -> list[Facts]:
    label = name if name == split else f"{split}/{name}"
    try:
        pairs, problems = scan_pairs(data["root"], source, name)
    except DataError as error:
        pairs, problems = [], error.problems
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        allow_empty = bool(data.get("allow_empty"))
        results = pool.map(lambda pair: inspect_or_complain(pair, allow_empty), pairs)
        inspected = list(tracked(results, f"reading {label}", len(pairs)))
    facts = [result for result in inspected if isinstance(result, Facts)]
    problems += [result for result in inspected if isinstance(result, str)]
    warnings = [
        f"{twin.other.pair.image}: the same file as {twin.one.pair.image}"
        for twin in twins_within(facts)
    ]
    warnings += [
        f"{fact.pair.image}: holds several pictures; only the first is read"
        for fact in facts
        if fact.several
    ]
    for fact, mixed in zip(
        facts, mixed_scales([name] * len(facts), [fact.scale for fact in facts]), strict=True
    ):
        if mixed is not None:
            problems.append(f"{fact.pair.mask}: {mixed}")
        if fact.fault is not None:
            # A test image may well show nothing; the measures have a rule for it.
            mild = split == "test" and fact.fault.startswith(ALL_BLACK)
            (warnings if mild else problems).append(f"{fact.pair.mask}: {fact.fault}")
    report["problems"] += [f"{label}: {problem}" for problem in problems]
    report["warnings"] += [f"{label}: {warning}" for warning in warnings]
    report["sets"][label] = {"expected": source.count, **summarise(facts)}
    if facts:
        sheet = output / f"{label.replace('/', '-')}.png"
        with noted(report, sheet):
            write_image(sheet, contact_sheet(facts))
    return facts


def _report_twins(twins: list[Twin], split: str, report: dict[str, Any]) -> None:
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
    from src.build import build

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
        write_whole(path, json.dumps(report, indent=2, ensure_ascii=False))


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


def run(cfg: DictConfig) -> int:
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


if __name__ == "__main__":
    sys.exit(cli.main(["check", *sys.argv[1:]]))
