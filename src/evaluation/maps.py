"""`evaluate.py maps=DIR truth=DIR`: from two folders to tables, with an exit code."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout

from src.cache_folder import cache_folder
from src.errors import UserError, told_when_full
from src.metrics.protocol import protocol
from src.whole_file import write_whole

from . import compare as comparing
from .folder import Resize, Scored, faults, headers_are_sound, score_pairs, with_scales
from .gallery import write_gallery
from .journal import Journal
from .pairs import Pairing, Problem, find_pairs, incomplete
from .report import Report

OK, FAULTY_FILES, WRONG_COMMAND = 0, 1, 2
JOURNAL = "journal.jsonl"


def evaluate_maps(
    maps: str | Path,
    truth: str | Path | None,
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool = False,
    resize: str | None = None,
    compare: str | Path | None = None,
    workers: int | None = None,
    worst: int = 12,
) -> int:
    """Score all maps below a folder and write `summary.json`, `per_image.csv` and tables.

    What is scored stays in `output/journal.jsonl`: the same command after an interruption goes on
    where it stopped, and scores again only files or protocols that have changed.

    Args:
        maps: Folder of predicted maps.
        truth: Folder of true masks, with the same names.
        output: Where the numbers go; None for a folder beside the maps.
        metrics: Names of measures.
        allow_missing: Score what is there and mark the table, instead of stopping at files that
            are missing, too many or unreadable.
        resize: `prediction` to bring maps of another size to the truth's; None makes it an error.
        compare: Folder of another evaluation or run, for a paired comparison.
        workers: Processes; None for one per core.
        worst: Images in the gallery of the worst.

    Returns:
        The exit code: 0, 1 if files are faulty, 2 if the command is or there is no room to write.
    """
    try:
        request = _request(maps, truth, output, metrics, allow_missing, resize, workers)
        with told_when_full(request.output, "the same command goes on where it stopped"):
            return _carry_out(request, compare, worst)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_COMMAND


@dataclass(frozen=True)
class _Request:
    """What is to be scored, and how."""

    pairing: Pairing
    method: str
    output: Path
    metrics: list[str]
    allow_missing: bool
    resize: Resize
    workers: int | None

    def fatal(self, problems: Sequence[Problem]) -> list[Problem]:
        """Those that stop the evaluation; a size never goes without saying."""
        return [p for p in problems if p.kind == "size" or not self.allow_missing]


def _request(
    maps: str | Path,
    truth: str | Path | None,
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool,
    resize: str | None,
    workers: int | None,
) -> _Request:
    if truth is None:
        raise UserError("maps= needs truth=FOLDER, the true masks")
    if resize not in (None, "prediction"):
        raise UserError(f"resize={resize}: only resize=prediction is known")
    if not metrics:
        raise UserError("metrics: no measure is named")
    for name in metrics:
        protocol(name)
    maps = Path(maps).resolve()
    folder = maps.with_name(f"{maps.name}_scores") if output is None else Path(output)
    pairing = find_pairs(maps, Path(truth))
    kernel = cast(Resize, resize)
    return _Request(pairing, maps.name, folder, list(metrics), allow_missing, kernel, workers)


def _carry_out(request: _Request, compare: str | Path | None, worst: int) -> int:
    scored = _score(request)
    if isinstance(scored, list):
        return _refuse(scored)
    report = _report(request, scored)
    report.write(request.output)
    ranking = _ranking(request.metrics)
    write_gallery(request.output / "worst.png", report.scores, ranking, worst)
    print(report.markdown())
    _list(report.problems)
    if compare is not None:
        _write_comparison(request.output, Path(compare))
    return OK


def _score(request: _Request) -> Scored | list[Problem]:
    """All scores, or the faults that nothing can be written for."""
    if problems := request.fatal(_early_problems(request)):
        return problems
    pairs, output = with_scales(request.pairing.pairs), request.output
    output.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(output / ".lock", timeout=0):
            journal = Journal(output / JOURNAL)
            scored = score_pairs(
                pairs, request.metrics, journal, request.resize, request.workers, _skeletons()
            )
    except Timeout:
        raise UserError(f"another evaluation is writing to {output}") from None
    if scored.reused:
        print(f"{scored.reused} of {len(pairs)} images were scored before")
    if problems := request.fatal(scored.problems):
        return problems
    if not scored.scores:
        raise UserError("no image could be scored")
    return scored


def _skeletons() -> Path:
    """Where skeletons of truths are kept, for all evaluations: they depend on the truth alone."""
    return cache_folder() / "skeletons"


def _report(request: _Request, scored: Scored) -> Report:
    counts = Counter(pair.set for pair in scored.scores)
    return Report(
        request.method,
        request.metrics,
        scored.scores,
        scored.notices,
        [*request.pairing.problems, *scored.problems],
        incomplete(request.pairing.truths, counts),
    )


def _early_problems(request: _Request) -> list[Problem]:
    """What can be said before scoring; all files are read once there is anything to say."""
    pairing = request.pairing
    sound = headers_are_sound(pairing.pairs, request.resize)
    if sound and not request.fatal(pairing.problems):
        return []
    return [*pairing.problems, *faults(pairing.pairs, request.resize)]


def _refuse(problems: Sequence[Problem]) -> int:
    _list(problems)
    kinds = {problem.kind for problem in problems}
    advice = "" if kinds == {"size"} else "; allow_missing=true scores the rest"
    print(f"error: {len(problems)} faults, nothing was written{advice}", file=sys.stderr)
    return FAULTY_FILES


def _list(problems: Sequence[Problem]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)


def _ranking(metrics: Sequence[str]) -> str:
    """The measure by which images are the worst."""
    return next((m for m in ("s_measure", "max_f", "mae") if m in metrics), metrics[0])


def _write_comparison(output: Path, other: Path) -> None:
    table = comparing.markdown(comparing.compare_folders(output, other), other.resolve().name)
    write_whole(output / "compare.md", table)
    print(table)
