"""The check of objects to click on: each is read once, as training would, and looked at."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from src.errors import UserError
from src.progress import tracked
from src.whole_image import write_image

from .contact_sheet import arrange, tile_of
from .inspection import noted, spread
from .objects import InstanceSource
from .pairs import DataError

_ROWS, _COLUMNS = 4, 8


class ObjectFacts(NamedTuple):
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
        facts = [entry for entry in found if isinstance(entry, ObjectFacts)]
        report["problems"] += [f"{label}: {entry}" for entry in found if isinstance(entry, str)]
        report["sets"][label] = _summarise(facts)
        if facts:
            sheet = _contact_sheet(source, facts)
            path = output / f"{label.replace('/', '-')}.png"
            with noted(report, path):
                write_image(path, sheet)
    return report


def _inspect_all(source: InstanceSource, label: str, workers: int) -> list[ObjectFacts | str]:
    def inspect(item: int) -> ObjectFacts | str:
        try:
            mask = source.sample(item).mask
        except UserError as error:
            return str(error)
        if not mask.any():
            return f"{source.names[item]}: an object without a pixel"
        return ObjectFacts(item, mask.size / 1e6, float((mask >= 128).mean()))

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        results = pool.map(inspect, range(len(source)))
        return list(tracked(results, f"reading {label}", len(source)))


def _summarise(facts: Sequence[ObjectFacts]) -> dict[str, Any]:
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


def _contact_sheet(source: InstanceSource, facts: Sequence[ObjectFacts]) -> np.ndarray:
    """The smallest, middle and largest objects, each in its image."""
    ordered = sorted(facts, key=lambda fact: fact.share)
    count = min(_ROWS * _COLUMNS, len(ordered))
    chosen = np.linspace(0, len(ordered) - 1, count).round().astype(int)
    instances = (source.sample(ordered[i].item) for i in chosen)
    return arrange([tile_of(instance.image, instance.mask) for instance in instances], _COLUMNS)
