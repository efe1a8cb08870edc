"""`finecut evaluate maps=DIR ground_truth=DIR`: from two folders to tables, with an exit code."""

import errno
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from filelock import FileLock, Timeout

from src.atomic import atomic_write
from src.errors import (
    CommandError,
    UserError,
    disk_full_as_user_error,
    file_fault,
    is_full,
    os_errors_as_user_errors,
)
from src.evaluation import compare as comparing
from src.evaluation.gallery import write_gallery
from src.evaluation.matching import (
    JOURNAL,
    WORST,
    Naming,
    Pairing,
    Problem,
    find_pairs,
    image_folders,
    incomplete,
)
from src.evaluation.report import EvaluationReport
from src.evaluation.scoring import (
    Resize,
    Scored,
    faults,
    header_faults,
    score_pairs,
)
from src.metrics import DEFAULT_METRICS, require_no_trimap
from src.paths import cache_folder
from src.results.folder import RUN_CONFIG, ResultsFolder
from src.resume_log import ResumeLog

log = logging.getLogger(__name__)

OK, FAULTY_FILES = 0, 1


def evaluate_maps(
    maps: str | Path,
    target: str | Path,
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool = False,
    resize: str | None = None,
    compare: str | Path | None = None,
    workers: int | None = None,
    worst: int = 12,
    map_suffix: str | None = None,
    mask_suffix: str | None = None,
) -> int:
    """Score all maps below a folder and write `results.json`, `per_image.csv` and tables.

    What is scored stays in `output/journal.jsonl`: the same command after an interruption goes on
    where it stopped, and scores again only files or protocols that have changed.

    Args:
        maps: Folder of predicted maps.
        target: Folder of ground-truth masks, under the same names.
        output: Where the numbers go; None for a folder beside the maps.
        metrics: Names of metrics.
        allow_missing: Score what is there and mark the table, instead of stopping at files that
            are missing, too many or unreadable.
        resize: `prediction` to bring maps of another size to the ground truth's; None makes it an
            error.
        compare: Folder of another evaluation or run, for a paired comparison.
        workers: Processes; None for one per core.
        worst: Images in the gallery of the worst.
        map_suffix: What maps carry after the name (`cat_pred.png`).
        mask_suffix: What masks carry after the name (`cat_mask.png`).

    Returns:
        The exit code: 0, or 1 if files are faulty.

    Raises:
        UserError: The command is wrong, or nothing can be read or written.
    """
    suffixes = (map_suffix or "", mask_suffix or "")
    request = _request(maps, target, output, metrics, allow_missing, resize, workers, suffixes)
    for remark in request.pairing.remarks:
        print(remark, file=sys.stderr)
    with disk_full_as_user_error(request.output, "the same command goes on where it stopped"):
        return _score_and_report(request, compare, worst)


def score_folder(
    maps: str | Path,
    ground_truth: str | Path,
    output: str | Path | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    allow_missing: bool = False,
    resize: str | None = None,
    workers: int | None = None,
    map_suffix: str = "",
    mask_suffix: str = "",
) -> dict[str, dict[str, float]]:
    """Score all maps below a folder against the masks of the same names in another.

    The numbers are those of `finecut evaluate maps=… ground_truth=…`, and so are the rules of which
    map belongs to which mask.

    Args:
        maps: Folder of predicted maps.
        ground_truth: Folder of masks.
        output: Folder for the files that the command writes, among them `per_image.csv` and the
            log by which a call that was interrupted goes on; None: nothing is written.
        metrics: Names of metrics; docs/protocols.md lists them.
        allow_missing: Score what is there, instead of refusing files that are missing, too many or
            unreadable.
        resize: `prediction` to bring maps of another size to the mask's; None makes it an error.
        workers: Processes; None for one per core.
        map_suffix: What maps carry after the name (`cat_pred.png`).
        mask_suffix: What masks carry after the name (`cat_mask.png`).

    Returns:
        `{data set: {metric: value}}`; NaN where a metric is undefined on every image.

    Raises:
        UserError: Faulty files, each named, an unknown metric, or no room to write.
    """
    with ExitStack() as stack:
        stack.enter_context(os_errors_as_user_errors())
        folder = Path(output or stack.enter_context(TemporaryDirectory(prefix="finecut-")))
        suffixes = (map_suffix, mask_suffix)
        request = _request(
            maps, ground_truth, folder, metrics, allow_missing, resize, workers, suffixes
        )
        for remark in request.pairing.remarks:
            log.warning("%s", remark)
        scored = _score(request)
        if isinstance(scored, list):
            listed = "\n".join(map(str, scored))
            raise UserError(f"{len(scored)} faults, nothing was scored:\n{listed}")
        report = _report(request, scored)
        if output is not None:
            report.write(folder)
        return report.values


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
    target: str | Path,
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool,
    resize: str | None,
    workers: int | None,
    suffixes: tuple[str, str] = ("", ""),
) -> _Request:
    if resize not in (None, "prediction"):
        raise CommandError(f"resize={resize}: only resize=prediction is known")
    if not metrics:
        raise CommandError("metrics: no metric is named")
    require_no_trimap(metrics)
    maps = Path(maps).resolve()
    folder = maps.with_name(f"{maps.name}_scores") if output is None else Path(output)
    pairing = find_pairs(
        maps, Path(target), Naming(map_suffix=suffixes[0], mask_suffix=suffixes[1])
    )
    if folder.resolve() in image_folders(pairing):
        raise CommandError(
            f"output={folder} holds maps or ground truth, which the numbers would lie among; "
            "choose another folder"
        )
    if (folder / RUN_CONFIG).is_file():
        raise CommandError(f"output={folder} is the folder of a run; choose another folder")
    kernel = cast(Resize, resize)
    return _Request(pairing, maps.name, folder, list(metrics), allow_missing, kernel, workers)


def _score_and_report(request: _Request, compare: str | Path | None, worst: int) -> int:
    other = None if compare is None else comparing.read_comparable(compare)
    scored = _score(request)
    if isinstance(scored, list):
        return _refuse(scored)
    report = _report(request, scored)
    report.write(request.output)
    ranking = _ranking(request.metrics)
    write_gallery(request.output / WORST, report.scores, ranking, worst)
    print(report.markdown())
    _list(report.problems)
    if other is not None:
        _write_comparison(request.output, other)
    return OK


def _score(request: _Request) -> Scored | list[Problem]:
    """All scores, or the faults that nothing can be written for."""
    if problems := request.fatal(_early_problems(request)):
        return problems
    pairs, output = request.pairing.pairs, request.output
    output.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(output / ".lock", timeout=0):
            journal = ResumeLog(output / JOURNAL)
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


def _skeletons() -> Path | None:
    """Where skeletons of targets are kept, for all evaluations: they depend on the target alone.

    None, which keeps none, where that folder cannot be written to.
    """
    folder = cache_folder() / "skeletons"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    except OSError as error:
        if is_full(error):
            raise
        print(f"skeletons are not kept: {file_fault(error) or error}", file=sys.stderr)
        return None
    return folder


def _report(request: _Request, scored: Scored) -> EvaluationReport:
    counts = Counter(pair.set for pair in scored.scores)
    return EvaluationReport(
        request.method,
        request.metrics,
        scored.scores,
        scored.notices,
        [*request.pairing.problems, *scored.problems],
        incomplete(request.pairing.targets, counts),
    )


def _early_problems(request: _Request) -> list[Problem]:
    """What stops the evaluation before scoring; all files are read once there is anything to say.

    What does not stop it, scoring itself comes across.
    """
    pairing = request.pairing
    if not request.fatal([*pairing.problems, *header_faults(pairing.pairs, request.resize)]):
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
    """The metric by which images are the worst."""
    return next((m for m in ("s_measure", "max_f", "mae") if m in metrics), metrics[0])


def _write_comparison(output: Path, other: ResultsFolder) -> None:
    ours = comparing.read_comparable(output)
    name = other.path.resolve().name
    table = comparing.markdown(comparing.compare_results(ours, other), name)
    atomic_write(output / "compare.md", table)
    print(table)
