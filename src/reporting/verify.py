"""Compares finished runs with the printed numbers, each within its stated tolerance."""

from collections.abc import Sequence
from typing import NamedTuple

from src.reporting.groups import Group, Spread
from src.reporting.reported_results import ReportedResult
from src.reporting.table import show
from src.reporting.warnings import disqualifying, other_training


class VerifiedNumber(NamedTuple):
    """One printed number beside ours; `ours` is None where nothing was measured."""

    group: str
    published: ReportedResult
    ours: Spread | None
    objections: tuple[str, ...]

    @property
    def passed(self) -> bool:
        if self.ours is None or self.objections:
            return False
        assert self.published.tolerance is not None
        return abs(self.ours.mean - self.published.value) <= self.published.tolerance + 1e-9


def verify(groups: Sequence[Group], published: Sequence[ReportedResult]) -> list[VerifiedNumber]:
    """A check for every group and every row of `published` that stands beside it.

    All rows compare with a metric.
    """
    return [
        _check(group, row)
        for group in groups
        for row in published
        if row.experiment == group.printed_as
    ]


def report(checks: Sequence[VerifiedNumber], digits: int) -> str:
    """A line for each check, then the count."""
    failed = sum(not check.passed for check in checks)
    lines = [_line(check, digits) for check in checks]
    return "\n".join([*lines, f"{len(checks) - failed} of {len(checks)} numbers agree"]) + "\n"


def _check(group: Group, row: ReportedResult) -> VerifiedNumber:
    assert row.compares_with is not None
    ours = group.spread(row.test_set, row.compares_with)
    objections = (*disqualifying(group, row.test_set), *other_training(group, [row]))
    return VerifiedNumber(group.label, row, ours, objections)


def _line(check: VerifiedNumber, digits: int) -> str:
    row = check.published
    metric = str(row.compares_with)
    start = f"{'ok  ' if check.passed else 'FAIL'} {check.group} {row.test_set} {metric}:"
    printed = f"published {row.printed} ± {row.tolerance:g}"
    if check.ours is None:
        return f"{start} not measured, {printed}"
    std = f" ± {show(metric, check.ours.std, digits)}" if check.ours.std is not None else ""
    ours = f"{show(metric, check.ours.mean, digits)}{std} ({check.ours.seeds} seeds)"
    return "; ".join([f"{start} {ours}, {printed}", *check.objections])
