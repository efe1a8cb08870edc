"""What is to be scored, everything that keeps it from being scored, and the scoring itself."""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from src.errors import CommandError, UserError, file_fault, is_full
from src.evaluation.matching import JOURNAL, Pairing, Problem, image_folders
from src.evaluation.scoring import (
    Resize,
    Scored,
    are_of_mattes,
    faults,
    header_faults,
    score_pairs,
    trimap_faults,
)
from src.evaluation.shards import (
    Shard,
    missing_parts,
    parts_in,
    scoring_part,
    settings_of,
    take_parts_over,
    write_state,
)
from src.paths import cache_folder
from src.results.folder import RUN_CONFIG
from src.resume_log import ResumeLog

OK, FAULTY_FILES = 0, 1
# What allow_missing=true does not pass over.
FATAL_KINDS = frozenset({"size", "differs", "repeated"})
ARE_GROUND_TRUTH = "the maps are the ground truth itself, so that every score is perfect"


@dataclass(frozen=True)
class ScoringRequest:
    """What is to be scored, and how.

    Attributes:
        pairing: Which map belongs to which target, and what has no partner.
        method: What the maps are called in tables.
        output: Folder of the numbers, and of the log by which an interrupted call goes on.
        metrics: Names of metrics.
        allow_missing: Score what is there.
        resize: `prediction` to bring maps to the target's size.
        workers: Processes; None for one per core.
        shard: The part of the images to be scored; None for all.

    Raises:
        CommandError: The output is a folder of maps or ground truth, or that of a run.
    """

    pairing: Pairing
    method: str
    output: Path
    metrics: Sequence[str]
    allow_missing: bool
    resize: Resize
    workers: int | None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        """Refuse to write numbers among maps, ground truth or the files of a run."""
        if self.output.resolve() in image_folders(self.pairing):
            raise CommandError(
                f"output={self.output} holds maps or ground truth, which the numbers would lie "
                "among; choose another folder"
            )
        if (self.output / RUN_CONFIG).is_file():
            raise CommandError(
                f"output={self.output} is the folder of a run; choose another folder"
            )

    def fatal(self, problems: Sequence[Problem]) -> list[Problem]:
        """Those that stop the evaluation; a size never goes without saying."""
        return [p for p in problems if p.kind in FATAL_KINDS or not self.allow_missing]


def score(request: ScoringRequest) -> Scored | list[Problem]:
    """All scores, those of one part with `shard`, or the faults that nothing can be written for."""
    every = request.pairing.pairs
    if request.shard is not None:
        part = replace(request.pairing, pairs=request.shard.of(every))
        request = replace(request, pairing=part)
    if problems := request.fatal(_early_problems(request)):
        return problems
    pairs, output = request.pairing.pairs, request.output
    output.mkdir(parents=True, exist_ok=True)
    if request.shard is not None:
        settings = settings_of(every, request.metrics, request.resize)
        with scoring_part(request.shard, output, output / JOURNAL, settings) as journal:
            scored = _scored(request, journal)
            if not request.fatal(scored.problems):
                write_state(request.shard, output, settings, done=True)
    else:
        try:
            with FileLock(output / ".lock", timeout=0):
                journal = ResumeLog(output / JOURNAL)
                if parts_in(output):
                    _take_parts_over(request, journal)
                scored = _scored(request, journal)
        except Timeout:
            raise UserError(f"another evaluation is writing to {output}") from None
    if scored.reused:
        print(f"{scored.reused} of {len(pairs)} images were scored before")
    if problems := request.fatal(scored.problems):
        return problems
    if not scored.scores and request.shard is None:
        raise UserError("no image could be scored")
    return scored


def _scored(request: ScoringRequest, journal: ResumeLog) -> Scored:
    return score_pairs(
        *(request.pairing.pairs, request.metrics, journal),
        *(request.resize, request.workers, _skeletons()),
    )


def _take_parts_over(request: ScoringRequest, journal: ResumeLog) -> None:
    settings = settings_of(request.pairing.pairs, request.metrics, request.resize)
    missing = take_parts_over(request.output, journal, settings)
    if missing:
        print(f"not wholly scored, and scored now: {_listed(missing)}", file=sys.stderr)


def finish_part(request: ScoringRequest, scored: Scored) -> int:
    """Say what of the work divided by `shard=` is done; returns the exit code."""
    count = len(request.pairing.pairs)
    print(f"shard={request.shard}: {len(scored.scores)} of all {count} images are scored")
    list_problems(scored.problems)
    missing = missing_parts(request.output)
    if missing:
        print(f"not wholly scored yet: {_listed(missing)}")
    else:
        print("all parts are scored: the same command without shard= writes the results")
    return OK


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(f"shard={part}" for part in parts)


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


def _early_problems(request: ScoringRequest) -> list[Problem]:
    """What stops the evaluation before scoring; all files are read once there is anything to say.

    What does not stop it, scoring itself comes across.
    """
    pairing, resize = request.pairing, request.resize
    of_trimaps = trimap_faults(pairing.pairs)
    if not request.fatal([*pairing.problems, *header_faults(pairing.pairs, resize), *of_trimaps]):
        return []
    found = faults(pairing.pairs, resize, are_of_mattes(request.metrics))
    # A fault of the ground truth is found with the maps of each method.
    return list(dict.fromkeys([*pairing.problems, *found, *of_trimaps]))


def refuse(problems: Sequence[Problem]) -> int:
    """Say why nothing was scored; returns the exit code."""
    list_problems(problems)
    kinds = {problem.kind for problem in problems}
    advice = "" if kinds <= FATAL_KINDS else "; allow_missing=true scores the rest"
    print(f"error: {len(problems)} faults, nothing was written{advice}", file=sys.stderr)
    return FAULTY_FILES


def list_problems(problems: Sequence[Problem]) -> None:
    """A line on stderr for each."""
    for problem in problems:
        print(problem, file=sys.stderr)
