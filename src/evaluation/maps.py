"""`finecut evaluate maps=DIR ground_truth=DIR`: from two folders to tables, with an exit code."""

import logging
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from src.atomic import atomic_write
from src.errors import (
    CommandError,
    UserError,
    disk_full_as_user_error,
    os_errors_as_user_errors,
)
from src.evaluation import compare as comparing
from src.evaluation.gallery import ranking_metric, write_gallery
from src.evaluation.matching import (
    PLAIN_NAMES,
    WORST,
    Naming,
    Pairing,
    are_ground_truth,
    find_pairs,
    incomplete,
)
from src.evaluation.methods import FILE_SUFFIXES, MethodPlan, find_plan, read_plan, with_trimaps
from src.evaluation.report import EvaluationReport, hash_trimaps
from src.evaluation.request import (
    ARE_GROUND_TRUTH,
    OK,
    ScoringRequest,
    finish_part,
    list_problems,
    refuse,
    score,
)
from src.evaluation.scoring import Resize, Scored
from src.evaluation.shards import Shard
from src.metrics import DEFAULT_METRICS, needing_trimap
from src.results.folder import ResultsFolder

log = logging.getLogger(__name__)


def evaluate_maps(
    maps: str | Path,
    target: str | Path | None,
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool = False,
    resize: str | None = None,
    compare: str | Path | None = None,
    workers: int | None = None,
    worst: int = 12,
    naming: Naming = PLAIN_NAMES,
    emphasize: str | None = None,
    trimaps: str | Path | None = None,
    shard: Shard | None = None,
) -> int:
    """Score all maps below a folder and write `results.json`, `per_image.csv` and tables.

    What is scored stays in `output/journal.jsonl`: the same command after an interruption goes on
    where it stopped, and scores again only files or protocols that have changed.

    Args:
        maps: Folder of predicted maps, of one method or of several (`src.evaluation.methods`), or a
            YAML file that names methods and data sets.
        target: Folder of ground-truth masks, under the same names; None where a file names it.
        output: Where the numbers go; None for a folder beside the maps.
        metrics: Names of metrics.
        allow_missing: Score what is there and mark the table, instead of stopping at files that
            are missing, too many or unreadable.
        resize: `prediction` to bring maps of another size to the ground truth's; None makes it an
            error.
        compare: Folder of another evaluation or run, for a paired comparison.
        workers: Processes; None for one per core.
        worst: Images in the gallery of the worst, of each method.
        naming: What maps and masks carry before and after the name (`cat_pred.png`).
        emphasize: Of several methods, the one whose curve is thick.
        trimaps: Folder of a trimap for each mask, under the same names, for metrics that need one;
            of several data sets, with a folder for each.
        shard: Score this part of the images and write no numbers: those are written by the call
            without it, once all parts are scored.

    Returns:
        The exit code: 0, or 1 if files are faulty.

    Raises:
        UserError: The command is wrong, or nothing can be read or written.
    """
    _check_words(metrics, resize)
    if Path(maps).suffix.lower() not in FILE_SUFFIXES:  # each set of a file has its own
        _check_trimaps(metrics, trimaps)
    plan = _plan(Path(maps), target, naming, trimaps)
    if plan is not None:
        # Tables and figures bring Hydra and Matplotlib, which the maps of one method do not need.
        from src.evaluation.score_methods import evaluate_methods

        if compare is not None:
            raise CommandError("compare= is for the maps of one method; a table compares several")
        folder = _folder(maps, output)
        asked = ScoringRequest(
            *(Pairing([], []), "", folder, metrics, allow_missing, cast(Resize, resize), workers),
            shard=shard,
        )
        with disk_full_as_user_error(folder, "the same command goes on where it stopped"):
            return evaluate_methods(plan, asked, emphasize, worst)
    if target is None:
        raise CommandError("ground_truth= is missing: folder of ground-truth masks")
    if emphasize is not None:
        raise CommandError(f"emphasize={emphasize}: {maps} holds the maps of one method")
    request = _request(
        maps, target, output, metrics, allow_missing, resize, workers, naming, trimaps
    )
    request = replace(request, shard=shard)
    for remark in request.pairing.remarks:
        print(remark, file=sys.stderr)
    if are_ground_truth(request.pairing.pairs):
        print(f"warning: {ARE_GROUND_TRUTH}", file=sys.stderr)
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
    trimaps: str | Path | None = None,
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
        trimaps: Folder of a trimap for each mask, under the same names, for metrics that need one.

    Returns:
        `{data set: {metric: value}}`; NaN where a metric is undefined on every image.

    Raises:
        UserError: Faulty files, each named, an unknown metric, or no room to write.
    """
    with ExitStack() as stack:
        stack.enter_context(os_errors_as_user_errors())
        folder = Path(output or stack.enter_context(TemporaryDirectory(prefix="finecut-")))
        naming = Naming(map_suffix=map_suffix, mask_suffix=mask_suffix)
        _check_words(metrics, resize)
        _check_trimaps(metrics, trimaps)
        request = _request(
            maps, ground_truth, folder, metrics, allow_missing, resize, workers, naming, trimaps
        )
        for remark in request.pairing.remarks:
            log.warning("%s", remark)
        scored = score(request)
        if isinstance(scored, list):
            listed = "\n".join(map(str, scored))
            raise UserError(f"{len(scored)} faults, nothing was scored:\n{listed}")
        report = _report(request, scored)
        if output is not None:
            report.write(folder)
        return report.values


def _plan(
    maps: Path, target: str | Path | None, naming: Naming, trimaps: str | Path | None
) -> MethodPlan | None:
    """The methods and data sets to be scored; None where the maps are one method's."""
    if maps.suffix.lower() in FILE_SUFFIXES:
        if target is not None or trimaps is not None or any(naming):
            raise CommandError(
                f"{maps} names the ground truth, trimaps, prefixes and suffixes itself: leave out "
                "ground_truth= and the others"
            )
        return read_plan(maps)
    plan = None if target is None else find_plan(maps, Path(target), naming)
    return plan if plan is None or trimaps is None else with_trimaps(plan, Path(trimaps))


def _request(
    maps: str | Path,
    target: str | Path,
    output: str | Path | None,
    metrics: Sequence[str],
    allow_missing: bool,
    resize: str | None,
    workers: int | None,
    naming: Naming,
    trimaps: str | Path | None,
) -> ScoringRequest:
    maps, kernel = Path(maps).resolve(), cast(Resize, resize)
    uncertain = None if trimaps is None else Path(trimaps)
    pairing = find_pairs(maps, Path(target), naming, trimaps=uncertain)
    folder = _folder(maps, output)
    return ScoringRequest(pairing, maps.name, folder, metrics, allow_missing, kernel, workers)


def _check_words(metrics: Sequence[str], resize: str | None) -> None:
    """Refuse what is wrong whatever the folders hold."""
    if resize not in (None, "prediction"):
        raise CommandError(f"resize={resize}: only resize=prediction is known")
    if not metrics:
        raise CommandError("metrics: no metric is named")


def _check_trimaps(metrics: Sequence[str], trimaps: str | Path | None) -> None:
    """Refuse metrics that need trimaps where there are none, and trimaps that no metric needs."""
    needing = needing_trimap(metrics)
    if needing and trimaps is None:
        raise CommandError(
            f"metric {needing[0]} needs a trimap for each image: give trimaps=FOLDER, under the "
            "names of the ground truth"
        )
    if trimaps is not None and not needing:
        raise CommandError(
            f"trimaps={trimaps}: no metric asked for needs trimaps; metrics=matting_trimap has all "
            "that do"
        )


def _folder(maps: str | Path, output: str | Path | None) -> Path:
    """Where the numbers go: to `output`, or beside the maps."""
    maps = Path(maps).resolve()
    beside = maps.with_name(f"{maps.stem if maps.is_file() else maps.name}_scores")
    return beside if output is None else Path(output)


def _score_and_report(request: ScoringRequest, compare: str | Path | None, worst: int) -> int:
    other = None if compare is None else comparing.read_comparable(compare)
    scored = score(request)
    if isinstance(scored, list):
        return refuse(scored)
    if request.shard is not None:
        return finish_part(request, scored)
    report = _report(request, scored)
    report.write(request.output)
    write_gallery(request.output / WORST, report.scores, ranking_metric(request.metrics), worst)
    print(report.markdown())
    list_problems(report.problems)
    if other is not None:
        _write_comparison(request.output, other)
    return OK


def _report(request: ScoringRequest, scored: Scored) -> EvaluationReport:
    counts = Counter(pair.set for pair in scored.scores)
    return EvaluationReport(
        request.method,
        request.metrics,
        scored.scores,
        scored.notices,
        [*request.pairing.problems, *scored.problems],
        incomplete(request.pairing.targets, counts),
        trimaps={name: hash_trimaps(files) for name, files in request.pairing.trimaps.items()},
    )


def _write_comparison(output: Path, other: ResultsFolder) -> None:
    ours = comparing.read_comparable(output)
    name = other.path.resolve().name
    table = comparing.markdown(comparing.compare_results(ours, other), name)
    atomic_write(output / "compare.md", table)
    print(table)
