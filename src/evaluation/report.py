"""Writes the numbers of an evaluation, each beside its protocol and the number of images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src import render
from src.atomic import atomic_write
from src.datamodules.pairs import targets_hash
from src.evaluation.matching import MapPair, Problem
from src.hashing import bytes_hash, file_hash
from src.metrics import (
    ImageResult,
    degenerate,
    describe,
    higher_is_better,
    record,
    summarize,
    undefined,
)
from src.results.schema import TABLE
from src.results.write import SetResults, write_results_folder

DIGITS = 4
_HEAD = ("method", "data", "N")


@dataclass(frozen=True)
class MethodScores:
    """What a table of several methods takes of one, just scored or read from its results.

    Attributes:
        method: Its name.
        by_set: Its images' scores by data set.
        values: `{data set: {metric: value}}`; sets need not have the same metrics.
        partial: `{data set: "3 of 5"}` where images were left out.
        notices: How many images each notice is about.
        trimaps: Hash of those that a data set was scored with, where it was with some.
    """

    method: str
    by_set: Mapping[str, Sequence[ImageResult]]
    values: Mapping[str, Mapping[str, float]]
    partial: Mapping[str, str] = field(default_factory=dict)
    notices: Mapping[str, int] = field(default_factory=dict)
    trimaps: Mapping[str, str] = field(default_factory=dict)


@dataclass
class EvaluationReport:
    """One evaluation, ready to be written.

    Attributes:
        method: What the maps are called in tables.
        metrics: Names of metrics, in the order of the columns.
        scores: Of each pair.
        notices: Of each pair.
        problems: Files that were left out.
        partial: `{data set: "3 of 5"}` where images were left out.
        order: Of the data sets; those that it does not name come last, by name.
        trimaps: `hash_trimaps` of each data set that was scored with some.
    """

    method: str
    metrics: Sequence[str]
    scores: Mapping[MapPair, ImageResult]
    notices: Mapping[MapPair, Sequence[str]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    partial: Mapping[str, str] = field(default_factory=dict)
    order: Sequence[str] = ()
    trimaps: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found: dict[str, list[MapPair]] = {}
        for pair in sorted(self.scores):
            found.setdefault(pair.set, []).append(pair)
        names = [name for name in self.order if name in found]
        self.pairs = {name: found[name] for name in dict.fromkeys([*names, *found])}
        self.by_set: dict[str, list[ImageResult]] = {
            name: [self.scores[pair] for pair in pairs] for name, pairs in self.pairs.items()
        }
        self.values = {name: summarize(of, self.metrics) for name, of in self.by_set.items()}

    def write(self, folder: Path) -> None:
        """Write the tables `results.md`, `.csv` and `.tex`, and the files of `src.results`."""
        atomic_write(folder / TABLE, self.markdown())
        atomic_write(folder / "results.csv", self.csv())
        atomic_write(folder / "results.tex", self.latex())
        write_results_folder(
            folder,
            self.results(),
            kind="maps",
            method=self.method,
            protocol={metric: describe(metric) for metric in self.metrics},
            partial=dict(self.partial),
            left_out=[str(problem) for problem in self.problems],
            notices=self.notice_counts(),
            data={f"test/{name}": self._fingerprint(name) for name in self.pairs},
        )

    def method_scores(self) -> MethodScores:
        """What a table of several methods takes of it."""
        return MethodScores(
            *(self.method, self.by_set, self.values, self.partial),
            *(self.notice_counts(), self.trimaps),
        )

    def results(self) -> dict[str, SetResults]:
        """What was scored, by data set."""
        return {
            name: SetResults(values, [pair.name for pair in self.pairs[name]], self.by_set[name])
            for name, values in self.values.items()
        }

    def _fingerprint(self, name: str) -> dict[str, Any]:
        """What identifies the ground truth that a set was scored with; less where it is partial."""
        known: dict[str, Any] = {"sets": [name]}
        if name in self.trimaps:
            known["trimaps"] = self.trimaps[name]
        if name in self.partial:
            return known
        targets = targets_hash((pair.name, pair.target) for pair in self.pairs[name])
        return {**known, "count": len(self.pairs[name]), "targets": targets}

    def notice_counts(self) -> dict[str, int]:
        """How many images each notice is about."""
        counts: dict[str, int] = {}
        for pair in sorted(self.notices):  # whichever was scored first
            for notice in self.notices[pair]:
                counts[notice] = counts.get(notice, 0) + 1
        return counts

    def markdown(self) -> str:
        """The table, and under it what its numbers mean."""
        table = render.markdown_table(
            [*_HEAD, *map(_heading, self.metrics)], list(map(self._cells, self.by_set)), "llr"
        )
        notes = [
            f"**INCOMPLETE**: {render.markdown(name)}, {share} images"
            for name, share in self.partial.items()
        ]
        notes += map(render.markdown, self._remarks())
        notes += [f"{metric}: {describe(metric)}" for metric in self.metrics]
        return table + "\n" + "".join(f"- {note}\n" for note in notes)

    def csv(self) -> str:
        """One line per data set and measure, with protocol and number of images."""
        rows = [
            [
                *(self.method, name, len(self.by_set[name]), self.partial.get(name, "yes")),
                *(metric, float(value), describe(metric)),
            ]
            for name, row in self.values.items()
            for metric, value in row.items()
        ]
        return render.csv_table([*_HEAD, "complete", "metric", "value", "protocol"], rows)

    def latex(self) -> str:
        """A `tabular` for a paper; its comments say what the numbers mean."""
        remarks = [f"{metric}: {describe(metric)}" for metric in self.metrics]
        remarks += [
            f"INCOMPLETE: {render.one_line(name)}, {share}" for name, share in self.partial.items()
        ]
        head = [f"{_heading(m)} {'↑' if higher_is_better(m) else '↓'}" for m in self.metrics]
        rows = list(map(self._cells, self.by_set))
        lines = [f"% {remark}" for remark in remarks]
        lines += render.latex_table([*_HEAD, *head], [rows], "llr")
        return "\n".join([*lines, ""])

    def _cells(self, name: str) -> list[str]:
        count = f"{self.partial[name]} INCOMPLETE" if name in self.partial else None
        numbers = [_number(self.values[name][metric]) for metric in self.metrics]
        return [self.method, name, count or str(len(self.by_set[name])), *numbers]

    def _remarks(self) -> list[str]:
        remarks = [f"{count} images: {notice}" for notice, count in self.notice_counts().items()]
        for name, of in self.by_set.items():
            odd = [f"{count} x {kind}" for kind, count in degenerate(of).items() if count]
            remarks += [f"{name}: {', '.join(odd)}"] if odd else []
            if name in self.trimaps:
                remarks.append(describe_trimaps(name, self.trimaps[name]))
            remarks += [
                f"{name}: {metric} is undefined on {count} images, which are left out of it"
                for metric, count in undefined(of, self.metrics).items()
            ]
        return remarks


def describe_trimaps(name: str, digest: str) -> str:
    """Which trimaps a data set was scored with, as tables say it."""
    return f"{name}: trimaps {digest[:12]}"


def hash_trimaps(files: Mapping[str, Path]) -> str:
    """SHA-256 of the names of images and the contents of their trimaps.

    Errors in the unknown region depend on how wide it was drawn: numbers with other trimaps are
    never compared.

    Args:
        files: Trimaps by the image's name.
    """
    return bytes_hash(
        f"{name}|{file_hash(path)}\n".encode("utf-8", "surrogateescape")
        for name, path in sorted(files.items())
    )


def _heading(metric: str) -> str:
    return record(metric).heading or metric


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{DIGITS}f}"
