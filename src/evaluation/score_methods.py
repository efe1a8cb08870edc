"""Scores the maps of several methods on several data sets, and puts them into one table."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from src.errors import UserError
from src.evaluation.gallery import ranking_metric, write_gallery
from src.evaluation.matching import (
    WORST,
    MapPair,
    Pairing,
    Problem,
    are_ground_truth,
    find_pairs,
    incomplete,
)
from src.evaluation.method_table import build_method_table, markdown, write_method_table
from src.evaluation.methods import MethodOnSet, MethodPlan
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
from src.evaluation.scoring import Scored
from src.metrics import ImageResult, needing_trimap
from src.render import file_name


def evaluate_methods(
    plan: MethodPlan, request: ScoringRequest, emphasize: str | None = None, worst: int = 12
) -> int:
    """Score every method on every set; write a folder of results for each, a table and curves.

    Everything that can be said against files and folders is said before the first is scored.
    What is scored stays in the output's log: the same command goes on where it stopped.

    Args:
        plan: Methods and data sets.
        request: How to score; its pairing is made here.
        emphasize: Method whose curves are thick.
        worst: Images in the gallery of the worst of each method.

    Returns:
        The exit code: 0, or 1 if files are faulty.

    Raises:
        UserError: Two methods would write to one folder, no method is called as `emphasize` says,
            or nothing can be read or written.
    """
    _require_folders_of_their_own(plan.methods)
    if emphasize is not None and emphasize not in plan.methods:
        listed = ", ".join(plan.methods)
        raise UserError(f"emphasize={emphasize}: no such method; there are {listed}")
    plan = _with_trimaps_needed(plan, request.metrics)
    pairings = {_key(entry): _paired(entry) for entry in plan.entries}
    request = replace(request, pairing=_joined(plan, list(pairings.values())))
    for remark in [*request.pairing.remarks, *_warnings(plan, pairings)]:
        print(remark, file=sys.stderr)
    scored = score(request)
    if isinstance(scored, list):
        return refuse(scored)
    if request.shard is not None:
        return finish_part(request, scored)
    reports = [_report(method, plan, pairings, scored, request) for method in plan.methods]
    reports = [report for report in reports if report.scores]
    for report in reports:
        folder = request.output / file_name(report.method)
        folder.mkdir(exist_ok=True)
        report.write(folder)
        write_gallery(folder / WORST, report.scores, ranking_metric(request.metrics), worst)
    counts = {
        entry.set: count
        for entry in plan.entries
        for count in pairings[_key(entry)].targets.values()
    }
    images = {name: counts[name] for name in plan.sets if name in counts}
    scores = [report.method_scores() for report in reports]
    table = build_method_table(scores, request.metrics, images)
    write_method_table(request.output, table, emphasize)
    print(markdown(table))
    list_problems([*request.pairing.problems, *scored.problems])
    return OK


def _with_trimaps_needed(plan: MethodPlan, metrics: Sequence[str]) -> MethodPlan:
    """The plan without trimaps where no metric needs them, or with the sets that lack theirs."""
    needing = needing_trimap(metrics)
    if not needing:
        return replace(plan, entries=[replace(entry, trimaps=None) for entry in plan.entries])
    lacking = dict.fromkeys(entry.set for entry in plan.entries if entry.trimaps is None)
    problems = [
        Problem("missing", f"{name} has no folder of trimaps, which {needing[0]} needs")
        for name in lacking
    ]
    return replace(plan, problems=[*plan.problems, *problems])


def _key(entry: MethodOnSet) -> str:
    """What an entry is called while all are scored together, each with levels of its own."""
    return f"{entry.method}/{entry.set}"


def _paired(entry: MethodOnSet) -> Pairing:
    try:
        found = find_pairs(entry.maps, entry.ground_truth, entry.naming, _key(entry), entry.trimaps)
    except UserError as error:
        return Pairing([], [Problem("missing", f"{_key(entry)}: {error}")])
    return replace(
        found,
        map_problems=[Problem(p.kind, f"{_key(entry)}: {p.text}") for p in found.map_problems],
        target_problems=[Problem(p.kind, f"{entry.set}: {p.text}") for p in found.target_problems],
        remarks=[f"{_key(entry)}: {remark}" for remark in found.remarks],
    )


def _joined(plan: MethodPlan, pairings: Sequence[Pairing]) -> Pairing:
    joined = Pairing([], list(plan.problems), remarks=list(plan.remarks))
    for pairing in pairings:
        joined.pairs += pairing.pairs
        joined.map_problems += pairing.map_problems
        joined.target_problems += pairing.target_problems
        joined.targets |= pairing.targets
        joined.remarks += pairing.remarks
    # What is wrong with a set is found with each method.
    joined.target_problems = list(dict.fromkeys(joined.target_problems))
    return joined


def _warnings(plan: MethodPlan, pairings: Mapping[str, Pairing]) -> list[str]:
    """Of maps that are the ground truth itself."""
    return [
        f"warning: {_key(entry)}: {ARE_GROUND_TRUTH}"
        for entry in plan.entries
        if are_ground_truth(pairings[_key(entry)].pairs)
    ]


def _report(
    method: str,
    plan: MethodPlan,
    pairings: Mapping[str, Pairing],
    scored: Scored,
    request: ScoringRequest,
) -> EvaluationReport:
    """What was scored of one method, under the names of the data sets."""
    sets = {_key(entry): entry.set for entry in plan.entries if entry.method == method}
    scores: dict[MapPair, ImageResult] = {}
    notices: dict[MapPair, Sequence[str]] = {}
    for pair, result in scored.scores.items():
        if pair.set in sets:
            renamed = pair._replace(set=sets[pair.set])
            scores[renamed], notices[renamed] = result, scored.notices[pair]
    targets = {sets[key]: count for key in sets for count in pairings[key].targets.values()}
    problems = [problem for key in sets for problem in pairings[key].problems]
    unread = (found for pair, found in scored.left_out.items() if pair.set in sets)
    problems += sorted(problem for found in unread for problem in found)
    partial = incomplete(targets, Counter(pair.set for pair in scores))
    trimaps = {
        sets[key]: hash_trimaps(files) for key in sets for files in pairings[key].trimaps.values()
    }
    return EvaluationReport(
        *(method, request.metrics, scores, notices, problems, partial, plan.sets, trimaps)
    )


def _require_folders_of_their_own(methods: Sequence[str]) -> None:
    taken: dict[str, str] = {}
    for method in methods:
        other = taken.setdefault(file_name(method).casefold(), method)
        if other != method:
            raise UserError(f"{other} and {method} would write to one folder; rename one of them")
