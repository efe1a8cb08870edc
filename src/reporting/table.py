"""One table in memory, each row with its provenance: what every format is written from."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from src.metrics import higher_is_better, records
from src.render import Emphasis, ranked
from src.reporting.groups import Group
from src.reporting.reported_results import ReportedResult, of
from src.reporting.runs import Run
from src.reporting.warnings import RowWarnings, disqualifying
from src.training.config import config_hash

_SHOWN = 12  # characters of a hash
MAPS = "maps"  # what stands for the hash of weights that nobody knows
PUBLISHED, DIFFERENCE = "published", "difference"  # what else a row's kind can be


class Origin(NamedTuple):
    """Where the numbers of a group come from.

    trained_on: Names of the training sets, none where they have no files.
    commit: Of the code, of each seed where they differ; empty where it is not known.
    config: Hash of what the seeds share; none of maps.
    weights: Hash of the tested weights, by seed; none of maps, whose weights nobody knows.
    """

    trained_on: tuple[str, ...]
    commit: str
    config: str
    weights: dict[int, str]

    def __str__(self) -> str:
        if not self.weights:
            return f"{MAPS}; scored by commit {self.commit or 'unknown'}"
        tested = ", ".join(f"seed {seed} {weights}" for seed, weights in self.weights.items())
        parts = [
            f"trained on {' + '.join(self.trained_on)}" if self.trained_on else "",
            f"commit {self.commit or 'unknown'}",
            f"config {self.config}",
            f"weights: {tested}",
        ]
        return "; ".join(part for part in parts if part)

    @property
    def weights_shown(self) -> str:
        """The hash of the weights, their number where there are several, `maps` for none."""
        hashes = [*dict.fromkeys(self.weights.values())]
        return (hashes[0] if len(hashes) == 1 else f"{len(hashes)} files") if hashes else MAPS


def origin(group: Group) -> Origin:
    """What the group's runs wrote of themselves."""
    run = group.runs[0]
    commits = ((r.commit or "")[:_SHOWN] for r in group.runs)
    commit = " ".join(dict.fromkeys(commit for commit in commits if commit))
    if run.is_maps:
        return Origin((), commit, "", {})
    return Origin(
        trained_on=run.sets("train") if run.trained else (),
        commit=commit,
        config=config_hash(run.recipe),
        weights={run.seed: _weights(run) for run in group.runs},
    )


def _weights(run: Run) -> str:
    """Of the values where the run wrote it, else of the file, which holds times and paths too."""
    tested = run.scored.provenance.checkpoint
    return ((tested and (tested.weights or tested.sha256)) or "unknown")[:_SHOWN]


class Cell(NamedTuple):
    """A number of the table, and its place in its column."""

    value: float
    std: float | None = None
    mark: Emphasis = ""


class Row(NamedTuple):
    """A line: what was scored, a published row, or the difference of the two.

    `images` is how many were scored, `expected` how many the set has. `kind` is that of what was
    scored (`run`, `checkpoint`, `maps`), `published` or `difference`. `seeds` are of training, none
    for weights that were only tested; `notes` are numbers of the table's notes, counted from 1;
    `origin` is of rows that were scored.
    """

    test_set: str
    images: int | None
    method: str
    kind: str
    seeds: tuple[int, ...]
    cells: dict[str, Cell]
    notes: tuple[int, ...] = ()
    origin: Origin | None = None
    expected: int | None = None

    @property
    def images_shown(self) -> str:
        """`470`, or `3 of 5` where images are missing; empty where it is not known."""
        of = f" of {self.expected}" if self.expected not in (None, self.images) else ""
        return f"{self.images}{of}" if self.images else ""


class Table(NamedTuple):
    """Rows, set by set, their metrics in order, the notes they refer to, and the protocol."""

    metrics: list[str]
    rows: list[Row]
    notes: list[str]
    protocol: dict[str, str]

    def origins(self) -> dict[str, Origin]:
        """Where the numbers of each method come from."""
        return {row.method: row.origin for row in self.rows if row.origin is not None}

    def test_sets(self) -> list[str]:
        return list(dict.fromkeys(row.test_set for row in self.rows))


def build(
    groups: Sequence[Group],
    published: Sequence[ReportedResult],
    metrics: Sequence[str] | None = None,
    digits: int = 3,
) -> Table:
    """The table of some groups, each experiment's published row and the difference below it.

    Values that `digits` do not tell apart share a mark.
    """
    known = list(dict.fromkeys(metric for group in groups for metric in group.metrics()))
    chosen = [metric for metric in metrics if metric in known] if metrics else known
    stated = {m: text for g in groups for run in g.runs for m, text in run.protocol.items()}
    protocol = {metric: stated[metric] for metric in chosen if metric in stated}
    builder = _Builder(groups, published, chosen, digits, protocol)
    sets = list(dict.fromkeys(name for group in groups for name in group.test_sets()))
    rows = [row for test_set in sets for row in builder.of_set(test_set)]
    return Table(chosen, rows, builder.notes, protocol)


def show(metric: str, value: float, digits: int, signed: bool = False) -> str:
    """A number as the table prints it: counts with one decimal, all else with `digits`."""
    known = records().get(metric)
    places = 1 if known and known.counts else digits
    rounded = round(value, places) + 0.0  # a negative zero becomes a plain one
    return f"{rounded:{'+' if signed else ''}.{places}f}"


class _Builder:
    def __init__(
        self,
        groups: Sequence[Group],
        published: Sequence[ReportedResult],
        metrics: Sequence[str],
        digits: int,
        protocol: Mapping[str, str],
    ) -> None:
        self.groups, self.published, self.metrics = groups, published, metrics
        self.digits, self.protocol = digits, protocol
        self.flags = RowWarnings(groups)
        self.notes: list[str] = []

    def of_set(self, test_set: str) -> list[Row]:
        rows: list[Row] = []
        for experiment in dict.fromkeys(group.printed_as for group in self.groups):
            members = [
                group
                for group in self.groups
                if group.printed_as == experiment and test_set in group.test_sets()
            ]
            rows += [self._run(group, test_set) for group in members]
            rows += self._beside(members, experiment, test_set)
        fair = {group.label for group in self.groups if not disqualifying(group, test_set)}
        directions = {m: higher_is_better(m, self.protocol.get(m, "")) for m in self.metrics}
        return _marked(rows, directions, fair, self.digits)

    def _run(self, group: Group, test_set: str) -> Row:
        spreads = {metric: group.spread(test_set, metric) for metric in self.metrics}
        cells = {m: Cell(spread.mean, spread.std) for m, spread in spreads.items() if spread}
        printed = [r for r in of(group.printed_as, self.published) if r.test_set == test_set]
        notes = tuple(self._note(text) for text in self.flags.of(group, test_set, printed))
        # The run that lacks the most images, if any does, speaks for its row.
        tested = [run for run in group.runs if run.images(test_set)] or group.runs
        fewest = min(tested, key=lambda run: run.images(test_set))
        images, expected = fewest.images(test_set), fewest.expected_images(test_set)
        seeds = tuple(group.seeds) if group.trained else ()
        place = (test_set, images or None, group.label, group.kind, seeds)
        return Row(*place, cells, notes, origin(group), expected)

    def _beside(self, members: Sequence[Group], experiment: str, test_set: str) -> list[Row]:
        printed = {
            row.compares_with: row
            for row in of(experiment, self.published)
            if row.test_set == test_set and row.compares_with in self.metrics
        }
        if not members or not printed:
            return []
        cells = {str(metric): Cell(row.value) for metric, row in printed.items()}
        sources = "; ".join(dict.fromkeys(row.source for row in printed.values()))
        notes = [self._note(f"published: {sources}")]
        notes += [self._note(f"{row.metric}: {row.note}") for row in printed.values() if row.note]
        title = f"{experiment} published"
        rows = [Row(test_set, None, title, PUBLISHED, (), cells, tuple(notes))]
        return rows + [_difference(group, test_set, cells) for group in members]

    def _note(self, text: str) -> int:
        if text not in self.notes:
            self.notes.append(text)
        return self.notes.index(text) + 1


def _difference(group: Group, test_set: str, printed: dict[str, Cell]) -> Row:
    spreads = {metric: group.spread(test_set, metric) for metric in printed}
    cells = {m: Cell(s.mean - printed[m].value) for m, s in spreads.items() if s}
    return Row(test_set, None, f"{group.label} − published", DIFFERENCE, (), cells)


def _marked(
    rows: Sequence[Row], higher_is_better: Mapping[str, bool], fair: set[str], digits: int
) -> list[Row]:
    """Mark each column's best, second and third among rows that may be compared."""
    compared = [
        row.kind == PUBLISHED or (row.kind != DIFFERENCE and row.method in fair) for row in rows
    ]
    cells = [dict(row.cells) for row in rows]
    for metric, higher in higher_is_better.items():
        shown = [
            show(metric, of_row[metric].value, digits) if may and metric in of_row else None
            for of_row, may in zip(cells, compared, strict=True)
        ]
        for of_row, mark in zip(cells, ranked(shown, higher), strict=True):
            if mark:
                of_row[metric] = of_row[metric]._replace(mark=mark)
    return [row._replace(cells=of_row) for row, of_row in zip(rows, cells, strict=True)]
