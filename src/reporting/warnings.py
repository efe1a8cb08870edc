"""What a reader must know before believing a row."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from src.errors import UserError
from src.reporting.groups import Group
from src.reporting.reported_results import ReportedResult
from src.reporting.runs import Run
from src.results.folder import read_results_folder
from src.weights import licenses


class RowWarnings:
    """Judges the rows of one table; knows the table's other groups, to see what one lacks."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.seeds = sorted({seed for group in groups if group.trained for seed in group.seeds})
        self.groups = groups

    def of(self, group: Group, test_set: str, printed: Sequence[ReportedResult] = ()) -> list[str]:
        """Every remark on a group's row for a test set, the gravest first.

        `printed` are the published numbers beside it.
        """
        return [
            *disqualifying(group, test_set),
            *other_training(group, printed),
            *_unknown_training(group),
            *_selection(group, test_set),
            *self._seeds(group),
            *self._files(group, test_set),
            *_code(group),
        ]

    def _seeds(self, group: Group) -> Iterator[str]:
        missing = [str(seed) for seed in self.seeds if seed not in group.seeds]
        if missing and group.trained:
            yield f"missing seeds: {', '.join(missing)}"
        if group.superseded:
            yield f"{group.superseded} older run(s) of the same seed left out"

    def _files(self, group: Group, test_set: str) -> Iterator[str]:
        parts = [r.fingerprint(f"test/{test_set}") for other in self.groups for r in other.runs]
        of_files = {part.sha256 for part in parts} - {None}
        of_targets = {part.targets for part in parts} - {None}
        if len(of_files) > 1 or len(of_targets) > 1:
            yield f"not every row was tested on the same files of {test_set}"


def disqualifying(group: Group, test_set: str) -> list[str]:
    """What keeps a row from being compared: it trained on the test set, or images are missing."""
    return [*_contamination(group, test_set), *_missing_images(group, test_set)]


def other_training(group: Group, printed: Sequence[ReportedResult]) -> list[str]:
    """What keeps a row from reproducing a published one: it was trained on something else."""
    stated = {row.trained_on for row in printed if row.trained_on}
    seen = [sets for _, sets in _seen(group.runs[0])]
    if not stated or not seen or None in seen:
        return []
    ours = {name for sets in seen for name in sets or ()}
    if not ours or any(set(sets) == ours for sets in stated):
        return []
    theirs = " or ".join(" + ".join(sets) for sets in sorted(stated))
    return [f"no reproduction: trained on {' + '.join(sorted(ours))}, the published on {theirs}"]


def _contamination(group: Group, test_set: str) -> Iterator[str]:
    run = group.runs[0]
    tested = run.members.get(test_set, (test_set,))
    for name, sets in _seen(run):
        if shared := [member for member in tested if member in (sets or ())]:
            yield f"contaminated: {name} was trained on {', '.join(shared)}"
    for member in tested:
        if run.trained and member not in run.sets("train") and _same_files(run, "train", member):
            yield f"contaminated: it was trained on the files of {member}"


def _unknown_training(group: Group) -> Iterator[str]:
    for name, sets in _seen(group.runs[0]):
        if sets is None:
            yield f"it is not known what {name} was trained on"


def _seen(run: Run) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """(who, which training sets) of the run and of the weights that it used; None: not known."""
    if run.trained:
        yield "it", run.sets("train")
    if run.weights is not None and run.weights_name is not None:
        yield run.weights_name, _sets_of_weights(run)


def _sets_of_weights(run: Run) -> tuple[str, ...] | None:
    assert run.weights is not None
    digest = run.scored.provenance.weights.get("weights")
    sets = licenses.trained_on(run.weights, digest)
    return sets if sets is not None else _sets_of_our_run(Path(run.weights))


def _sets_of_our_run(checkpoint: Path) -> tuple[str, ...] | None:
    """The training sets of the run that wrote a checkpoint of ours, if it is still there."""
    if checkpoint.suffix != ".ckpt":
        return None
    try:
        found = read_results_folder(checkpoint.parent.parent)
    except UserError:
        return None
    part = found.provenance.data.get("train")
    return tuple(part.sets) if part is not None and part.sets else None


def _selection(group: Group, test_set: str) -> Iterator[str]:
    run = group.runs[0]
    if run.trained and (test_set in run.sets("val") or _same_files(run, "val", test_set)):
        yield f"the checkpoint was chosen by its score on {test_set}"


def _same_files(run: Run, part: str, test_set: str) -> bool:
    """Whether a test set is what another part of the data is, under another name."""
    digest = run.fingerprint(part).sha256
    return digest is not None and digest == run.fingerprint(f"test/{test_set}").sha256


def _missing_images(group: Group, test_set: str) -> Iterator[str]:
    for run in group.runs:
        if test_set not in run.results:
            yield f"seed {run.seed} was not tested on {test_set}"
            continue
        scored, expected = run.images(test_set), run.expected_images(test_set)
        if expected is not None and scored != expected:
            which = "" if run.is_maps else f" (seed {run.seed})"
            yield f"missing images: {scored} of {expected}{which}"


def _code(group: Group) -> Iterator[str]:
    if any(run.dirty for run in group.runs):
        yield "dirty git: the code had uncommitted changes"
    elif any(run.dirty is None for run in group.runs):
        yield "the state of the code is not known"
    commits = {run.commit for run in group.runs}
    if len(commits) > 1:
        yield "the seeds ran on different commits"
