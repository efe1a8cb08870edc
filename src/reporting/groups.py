"""Runs of one recipe, over its seeds; scored maps stand alone."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from src.errors import UserError
from src.metrics import is_same_protocol
from src.reporting.runs import Run
from src.results.folder import refuse_mixed_trimaps
from src.results.schema import Kind

_MOST_DIFFERENCES = 3


class Spread(NamedTuple):
    """A metric over seeds: mean, sample standard deviation (None for one seed), number of seeds."""

    mean: float
    std: float | None
    seeds: int


class Group:
    """The runs of one recipe, one for each seed, under a label that no other group has."""

    def __init__(self, label: str, runs: Sequence[Run]) -> None:
        newest = {run.seed: run for run in runs}  # runs come sorted by folder, hence by time
        self.label = label
        self.runs = [newest[seed] for seed in sorted(newest)]
        self.superseded = len(runs) - len(self.runs)

    @property
    def name(self) -> str:
        return self.runs[0].name

    @property
    def printed_as(self) -> str:
        return self.runs[0].printed_as

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]

    @property
    def kind(self) -> Kind:
        """Whether these runs trained, were tests of a checkpoint, or are scored maps."""
        return self.runs[0].scored.kind

    @property
    def trained(self) -> bool:
        """Whether these runs trained, rather than tested weights as they were."""
        return self.runs[0].trained

    def test_sets(self) -> list[str]:
        return list(dict.fromkeys(name for run in self.runs for name in run.results))

    def metrics(self) -> list[str]:
        tables = (table for run in self.runs for table in run.results.values())
        return list(dict.fromkeys(metric for table in tables for metric in table))

    def spread(self, test_set: str, metric: str) -> Spread | None:
        """The metric over the seeds that have it; None if none has."""
        found = (run.results.get(test_set, {}).get(metric) for run in self.runs)
        values = [value for value in found if value is not None]
        if not values:
            return None
        std = statistics.stdev(values) if len(values) > 1 else None
        return Spread(statistics.fmean(values), std, len(values))


def group(runs: Sequence[Run]) -> list[Group]:
    """Gather runs that differ in their seed alone.

    Raises UserError where a metric was computed by two protocols, naming both.
    """
    refuse_mixed_protocols(runs)
    gathered: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        gathered.setdefault(run.key, []).append(run)
    members = sorted(gathered.values(), key=lambda runs: (_label(runs[0]), runs[0].key))
    return [Group(label, runs) for label, runs in zip(_labels(members), members, strict=True)]


def refuse_mixed_protocols(runs: Sequence[Run]) -> None:
    """A column of a table must mean one thing.

    Raises:
        UserError: Two runs have a metric by two protocols, or a data set with different trimaps.
    """
    refuse_mixed_trimaps(run.scored for run in runs)
    seen: dict[str, tuple[str, Run]] = {}
    for run in runs:
        for metric, text in run.protocol.items():
            known, other = seen.setdefault(metric, (text, run))
            if not is_same_protocol(metric, known, text):
                raise UserError(
                    f"{metric} was computed by two protocols and cannot share a table:\n"
                    f"  {other.folder}: {known}\n  {run.folder}: {text}\n"
                    "  Score them by one version (finecut evaluate weights=… or maps=…), or "
                    "collect them apart with runs="
                )


def _label(run: Run) -> str:
    if run.weights_name is None:
        return run.name
    return f"{run.name} ({'from' if run.trained else 'weights'} {run.weights_name})"


def _labels(members: Sequence[Sequence[Run]]) -> list[str]:
    """Names of the groups; where two are alike, with the settings in which they differ."""
    plain = [_label(runs[0]) for runs in members]
    labels = []
    for label, runs in zip(plain, members, strict=True):
        alike = [r[0] for other, r in zip(plain, members, strict=True) if other == label]
        differences = _differences(runs[0], alike)
        labels.append(f"{label} [{', '.join(differences)}]" if differences else label)
    if len({*labels}) < len(labels):  # they differ beyond what a label can hold
        labels = [f"{label} #{r[0].key[-1][:6]}" for label, r in zip(labels, members, strict=True)]
    return labels


def _differences(run: Run, alike: Sequence[Run]) -> list[str]:
    flat = [dict(_flat(other.recipe)) for other in alike]
    own = dict(_flat(run.recipe))
    differing = [key for key in sorted(own) if any(f.get(key) != own[key] for f in flat)]
    shown = [f"{key}={own[key]}" for key in differing[:_MOST_DIFFERENCES]]
    return shown + (["…"] if len(differing) > _MOST_DIFFERENCES else [])


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
