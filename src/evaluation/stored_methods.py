"""The table of several methods from results that are stored: no map is read, nothing is scored."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src.errors import CommandError, UserError
from src.evaluation.matching import Problem
from src.evaluation.method_table import build_method_table, markdown, write_method_table
from src.evaluation.report import MethodScores
from src.evaluation.request import FATAL_KINDS, OK, list_problems, refuse
from src.metrics import describe, needing_trimap
from src.reporting.runs import Run, collect
from src.results.derived import derive, follows, is_stored
from src.results.folder import has_results


@dataclass
class _Method:
    """A row of the table: one folder with results, or several of different data sets."""

    name: str
    runs: dict[str, Run] = field(default_factory=dict)  # by data set


def tabulate_results(
    folders: Sequence[str | Path],
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool = False,
    emphasize: str | None = None,
) -> int:
    """Write the table and curves of methods whose results lie in folders.

    Values by today's protocol are taken as they are stored; others are computed where they follow
    from the histograms, or from what else is kept of each image.

    Args:
        folders: Folders that hold results: of scored maps, of checkpoints, of runs.
        output: Where table and curves go; None for the folder, where there is but one.
        metrics: The columns of each data set.
        allow_missing: Mark numbers that are not there, instead of refusing the table.
        emphasize: Method whose curves are thick.

    Returns:
        The exit code: 0, or 1 where results are missing or do not fit to each other.

    Raises:
        UserError: There are no results, or no method is called as `emphasize` says.
    """
    target = _output(folders, output)
    problems: list[Problem] = []
    methods = _methods(folders, problems)
    if emphasize is not None and emphasize not in methods:
        listed = ", ".join(methods)
        raise UserError(f"emphasize={emphasize}: no such method; there are {listed}")
    sets = list(dict.fromkeys(name for one in methods.values() for name in one.runs))
    problems += [problem for name in sets for problem in _of_set(name, methods.values(), metrics)]
    if any(p.kind in FATAL_KINDS or not allow_missing for p in problems):
        return refuse(problems)
    scores = [_scores(one, metrics) for one in methods.values()]
    images = {name: max(_images(one, name) for one in methods.values()) for name in sets}
    table = build_method_table(scores, metrics, images)
    target.mkdir(parents=True, exist_ok=True)
    write_method_table(target, table, emphasize)
    print(markdown(table))
    list_problems(problems)
    return OK


def _output(folders: Sequence[str | Path], output: str | Path | None) -> Path:
    for folder in (folder for folder in folders if not Path(folder).is_dir()):
        raise UserError(f"results: no folder {folder}")
    if output is None and (len(folders) > 1 or has_results(Path(folders[0]))):
        raise CommandError("output= is missing: a folder for the table and curves")
    target = Path(folders[0] if output is None else output)
    if has_results(target):
        raise CommandError(f"output={target} is a folder with results; choose another folder")
    return target


def _methods(folders: Sequence[str | Path], problems: list[Problem]) -> dict[str, _Method]:
    """The methods by name; what is damaged, and sets that a method has twice, are problems."""
    complaints: list[str] = []
    methods: dict[str, _Method] = {}
    for run in collect(folders, problems=complaints):
        try:
            for name in run.scored.values:
                run.scored.image_results(name)
        except UserError as error:
            complaints.append(str(error))
            continue
        method = methods.setdefault(run.name, _Method(run.name))
        for name in run.scored.values:
            if (other := method.runs.setdefault(name, run)) is not run:
                text = f"{run.name} on {name}: {other.folder} and {run.folder}; give one of them"
                problems.append(Problem("repeated", text))
    problems += [Problem("unreadable", text) for text in complaints]
    if not methods:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise UserError(f"no results can be read{listed}")
    return methods


def _of_set(name: str, methods: Iterable[_Method], metrics: Sequence[str]) -> Iterator[Problem]:
    """What keeps the methods from standing beside each other on a data set."""
    scored: list[Run] = []
    for method in methods:
        if (run := method.runs.get(name)) is None:
            yield Problem("missing", f"{method.name} has no results on {name}")
            continue
        scored.append(run)
        for metric in metrics:
            if not is_stored(run.scored, name, metric) and not follows(run.scored, name, metric):
                yield Problem("missing", _lacking(run, name, metric))
    for part, get in (
        ("ground truth", lambda run: run.fingerprint(f"test/{name}").targets),
        ("trimaps", lambda run: run.scored.trimaps(name) if needing_trimap(metrics) else None),
    ):
        known = [(run, found) for run in scored if (found := get(run)) is not None]
        for run, found in known[1:]:
            if found != known[0][1]:
                yield Problem("differs", f"{name}: {part} of {run.folder} and {known[0][0].folder}")
    whole = [run for run in scored if name not in run.scored.provenance.partial]
    for run in whole[1:]:
        if run.scored.per_image[name].names != whole[0].scored.per_image[name].names:
            yield Problem("differs", f"{name}: images of {run.folder} and {whole[0].folder}")


def _lacking(run: Run, name: str, metric: str) -> str:
    """Why a metric is not to be had."""
    stored = run.scored.protocol.get(metric)
    if metric in run.scored.values[name] and stored:
        was = stored.partition(":")[0]
        now = describe(metric).partition(":")[0]
        return f"{run.folder}: {metric} on {name} was scored by {was}, today's is {now}"
    return f"{run.folder}: {metric} on {name} is not stored and follows from nothing that is"


def _scores(method: _Method, metrics: Sequence[str]) -> MethodScores:
    found = {name: derive(run.scored, name, metrics) for name, run in method.runs.items()}
    runs = {run.folder: run.scored for run in method.runs.values()}.values()
    notices: dict[str, int] = {}
    for one in runs:
        for notice, count in one.provenance.notices.items():
            notices[notice] = notices.get(notice, 0) + count
    trimaps = {
        name: digest
        for name, run in method.runs.items()
        if needing_trimap(metrics) and (digest := run.scored.trimaps(name)) is not None
    }
    partial = {
        name: share
        for name, run in method.runs.items()
        if (share := run.scored.provenance.partial.get(name)) is not None
    }
    return MethodScores(
        method.name,
        {name: images for name, (_, images) in found.items()},
        {name: values for name, (values, _) in found.items()},
        partial,
        notices,
        trimaps,
    )


def _images(method: _Method, name: str) -> int:
    """How many images a data set has, as far as a method's results know."""
    if (run := method.runs.get(name)) is None:
        return 0
    return run.expected_images(name) or run.images(name)
