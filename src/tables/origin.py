"""Where a row's numbers come from: training sets, commit, config and the weights of each seed."""

from typing import NamedTuple

from src.runs.freeze import config_hash

from .groups import Group
from .runs import Run

_SHOWN = 12  # characters of a hash


class Origin(NamedTuple):
    """Of one group of runs.

    trained_on: Names of the training sets, none where they have no files.
    commit: Of the code, of each seed where they differ; empty where it is not known.
    config: Hash of what the seeds share.
    weights: Hash of the tested weights, by seed.
    """

    trained_on: tuple[str, ...]
    commit: str
    config: str
    weights: dict[int, str]

    def __str__(self) -> str:
        tested = ", ".join(f"seed {seed} {weights}" for seed, weights in self.weights.items())
        parts = [
            f"trained on {' + '.join(self.trained_on)}" if self.trained_on else "",
            f"commit {self.commit or 'unknown'}",
            f"config {self.config}",
            f"weights: {tested}",
        ]
        return "; ".join(part for part in parts if part)


def origin(group: Group) -> Origin:
    """What the group's runs wrote of themselves."""
    run = group.runs[0]
    commits = (str(r.provenance.get("git", {}).get("commit") or "")[:_SHOWN] for r in group.runs)
    return Origin(
        trained_on=run.sets("train") if run.trained else (),
        commit=" ".join(dict.fromkeys(commit for commit in commits if commit)),
        config=config_hash(run.recipe),
        weights={run.seed: _weights(run) for run in group.runs},
    )


def _weights(run: Run) -> str:
    """Of the values where the run wrote it, else of the file, which holds times and paths too."""
    tested = run.provenance.get("checkpoint") or {}
    return str(tested.get("weights") or tested.get("sha256") or "unknown")[:_SHOWN]
