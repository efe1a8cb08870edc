"""Reads every file of a set of masks or objects: `finecut check data=duts data.root=DIR`."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from omegaconf import DictConfig

from src.atomic import atomic_write, atomic_write_image
from src.datamodules.inspection import Inspection, Stats
from src.datamodules.instance_inspection import InstanceInspection
from src.datamodules.pair_inspection import PairInspection
from src.datamodules.pairs import DataError
from src.datamodules.sources import parse_sources, require_root
from src.errors import UserError, file_fault
from src.instantiate import build
from src.progress import track
from src.settings.commands import CheckSettings
from src.settings.parse import parse_part, plain, require_data
from src.visualize import grid, mask_tile

_ROWS, _COLUMNS = 4, 8  # of a contact sheet
_TILE = 188  # pixels of a tile's longer side
_SPLITS = ("train", "val", "test")
_SHOWN = 200
_UNWRITTEN = "unwritten"  # key of a report: why files of it are not there
Report = dict[str, Any]
Shown = TypeVar("Shown", bound=Stats)


def inspections_of(data: DictConfig) -> list[Inspection[Any]]:
    """The sets of a data config; empty where it names none, but draws its images.

    A set is files of images and masks, or objects where the config says what makes their source.
    No data module is made of it: that takes torch, and seconds.

    Raises:
        UserError: The sets of the config are all left out, or `data.root` is not set.
    """
    if "train" not in data:
        return []
    root, found = data.get("root"), list[Inspection[Any]]()
    for split in _SPLITS:
        makers = _makers(data.get(split), split)
        if makers:
            require_root(root)
            found += [
                InstanceInspection(split, name, partial(build(node), root))
                for name, node in makers.items()
            ]
            continue
        sources = parse_sources(plain(data).get(split), split)
        require_root(root, sources.values())
        found += [
            PairInspection(
                *(split, name, root, source),
                allow_empty=bool(data.get("allow_empty")),
                soft=bool(data.get("soft")),
            )
            for name, source in sources.items()
        ]
    if not found:
        raise UserError(
            "no set to check: data.train.images=DIR data.train.masks=DIR, or choose another data=…"
        )
    return found


def _makers(given: Any, split: str) -> dict[str, DictConfig]:
    """What makes the sources of objects of a split, by name; a set of files has none."""
    if not isinstance(given, DictConfig):
        return {}
    named = {split: given} if "_target_" in given else {str(key): given[key] for key in given}
    return {
        name: node
        for name, node in named.items()
        if isinstance(node, DictConfig) and node.get("_partial_")
    }


def check(inspections: Sequence[Inspection[Any]], output: Path, workers: int) -> Report:
    """Read every sample of some sets and write what was found.

    Args:
        inspections: The sets, as `inspections_of` finds them.
        output: Folder for `report.json` and one contact sheet for each set.
        workers: Threads that read.

    Returns:
        The report: `problems` and `warnings`, one sentence each, and `sets`.
    """
    output.mkdir(parents=True, exist_ok=True)
    report: Report = {"problems": [], "warnings": [], "sets": {}}
    found = [_check_set(inspection, output, workers, report) for inspection in inspections]
    each = list(zip(inspections, found, strict=True))
    training = [one for inspection, facts in each if inspection.split == "train" for one in facts]
    for inspection, facts in each:
        if inspection.split != "train":
            _report(report, inspection.label, *inspection.compare(facts, training))
    _write(report, output)
    return report


def _check_set(
    inspection: Inspection[Any], output: Path, workers: int, report: Report
) -> list[Any]:
    label = inspection.label
    try:
        problems = inspection.open()
    except DataError as error:
        problems = error.problems
    results = _read_all(inspection, workers)
    problems += [result for result in results if isinstance(result, str)]
    facts = [result for result in results if not isinstance(result, str)]
    remarks = inspection.judge(facts)
    _report(report, label, problems + remarks.problems, remarks.warnings)
    report["sets"][label] = {
        "expected": inspection.expected,
        **inspection.summarize(facts),
    }
    if facts:
        path = output / f"{label.replace('/', '-')}.png"
        with _noted(report, path):
            atomic_write_image(path, contact_sheet(inspection, facts))
    return facts


def _read_all(inspection: Inspection[Any], workers: int) -> list[Any]:
    """Of each sample what is known of it, or the complaint."""

    def attempt(item: int) -> Any:
        try:
            return inspection.inspect(item)
        except UserError as error:
            return str(error)

    count = len(inspection)
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        results = pool.map(attempt, range(count))
        return list(track(results, f"reading {inspection.label}", count))


def _report(report: Report, label: str, problems: list[str], warnings: list[str]) -> None:
    report["problems"] += [f"{label}: {problem}" for problem in problems]
    report["warnings"] += [f"{label}: {warning}" for warning in warnings]


@contextmanager
def _noted(report: Report, path: Path) -> Iterator[None]:
    """Note in the report that a file of it could not be written, and go on."""
    try:
        yield
    except OSError as error:
        report.setdefault(_UNWRITTEN, []).append(file_fault(error, path) or f"{path}: {error}")


def contact_sheet(
    inspection: Inspection[Shown], facts: Sequence[Shown], rows: int = _ROWS
) -> np.ndarray:
    """Tiles of the smallest, middle and largest foregrounds, uint8 RGB.

    Args:
        inspection: The set.
        facts: What is known of its samples, at least one.
        rows: Rows of eight tiles.
    """
    ordered = sorted(facts, key=lambda fact: fact.foreground)
    count = min(rows * _COLUMNS, len(ordered))
    shown = [ordered[i] for i in np.linspace(0, len(ordered) - 1, count).round().astype(int)]
    tiles = (mask_tile(*inspection.image_and_mask(fact, _TILE), _TILE) for fact in shown)
    return grid(list(tiles), _COLUMNS)


def _write(report: Report, output: Path) -> None:
    path = output / "report.json"
    with _noted(report, path):
        atomic_write(path, json.dumps(report, indent=2, ensure_ascii=False))


def show(inspections: Sequence[Inspection[Any]], report: Report, output: Path) -> None:
    """Print what `check` reports of the sets.

    Raises:
        UserError: At the end, where some of its files could not be written.
    """
    for inspection in inspections:
        facts = report["sets"][inspection.label]
        count = facts[inspection.counted]
        line = f"{inspection.label}: {count} sound {inspection.noun}"
        if facts["expected"] is not None:
            line += f" (released: {facts['expected']})"
        if count:
            sizes, shares = facts["megapixels"], facts["foreground"]
            line += f", {sizes['smallest']:.2g} to {sizes['largest']:.2g} megapixels"
            line += f", foreground {100 * shares['smallest']:.2g}% to {shares['largest']:.1%}"
            line += f" (median {shares['median']:.0%})"
            histogram = ", ".join(map(str, facts["foreground_histogram"]))
            line += f"\n  {inspection.counted} with 0-10%, 10-20% … 90-100% foreground: {histogram}"
        print(line)
    for kind in ("warnings", "problems"):
        found = report[kind]
        print(f"{len(found)} {kind}", *(f"  {entry}" for entry in found[:_SHOWN]), sep="\n")
        if len(found) > _SHOWN:
            print(f"  … and {len(found) - _SHOWN} more in the report")
    if _UNWRITTEN in report:  # what was found is not lost for it
        raise UserError("\n       ".join(report[_UNWRITTEN]))
    print(f"report and contact sheets in {output}")


def main(cfg: DictConfig) -> int:
    """Check as the config says; the exit code is 1 if anything is wrong."""
    settings = parse_part(CheckSettings, cfg)
    require_data(cfg)
    if not (inspections := inspections_of(cfg.data)):
        raise UserError(f"{cfg.data.get('_target_')} does not read image and mask files")
    output = Path(settings.output)
    report = check(inspections, output, settings.workers)
    show(inspections, report, output)
    return 1 if report["problems"] else 0
