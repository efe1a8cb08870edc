"""What `finecut table` does: collects what was scored into tables, or compares it with papers."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from src.atomic import atomic_write
from src.errors import CommandError, UserError
from src.render import file_name
from src.reporting import reported_results
from src.reporting.click_curves import plot_clicks
from src.reporting.curves import plot
from src.reporting.formats import comma_separated, excel, html, latex, markdown
from src.reporting.groups import Group, group
from src.reporting.runs import belongs, collect
from src.reporting.table import Table, build
from src.reporting.verify import report, verify
from src.settings.commands import TablesSettings
from src.settings.schema import TableFormat, TableLayout


def write_tables(cfg: TablesSettings) -> int:
    """Write the tables of what was scored and print one; returns the exit code."""
    problems: list[str] = []
    groups = _groups(cfg, problems)
    table = build(groups, reported_results.load(), _metrics(cfg, groups), cfg.digits)
    folder = Path(cfg.output) / (cfg.experiment or "")
    title = cfg.experiment or "finecut"
    write(table, groups, folder, title, cfg.digits, problems, cfg.formats, cfg.layout)
    print(markdown(table, cfg.digits, cfg.layout))
    print(f"in {folder}: {' '.join(f'table.{name}' for name in cfg.formats)}")
    return _report_left_out(problems)


def write(
    table: Table,
    groups: Sequence[Group],
    folder: Path,
    title: str,
    digits: int,
    problems: list[str] | None = None,
    formats: Sequence[TableFormat] = ("md", "tex", "csv", "html"),
    layout: TableLayout = "long",
) -> None:
    """The formats of a table into a folder; the same runs give the same bytes.

    `problems` gains a line for each run whose curves or images are damaged and left out; without
    it, that is a UserError.
    """
    drawn = {name: plot(groups, name, problems) for name in table.test_sets()}
    curves = {name: png for name, png in drawn.items() if png is not None}
    clicks = {name: plot_clicks(groups, name, problems) for name in table.test_sets()}
    makers: dict[TableFormat, Callable[[], str | bytes]] = {
        "md": lambda: markdown(table, digits, layout),
        "tex": lambda: latex(table, digits, layout),
        "csv": lambda: comma_separated(table),
        "html": lambda: html(table, groups, curves, title, digits, problems, layout),
        "xlsx": lambda: excel(table, digits, layout),
    }
    made = {name: makers[name]() for name in formats}
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in made.items():
        atomic_write(folder / f"table.{kind}", content)
    for name, png in curves.items():
        atomic_write(folder / f"curves_{file_name(name)}.png", png)
    for name, figure in clicks.items():
        for form, content in figure.items():
            atomic_write(folder / f"clicks_{file_name(name)}.{form}", content)


def _report_left_out(problems: Sequence[str]) -> int:
    """Say which runs, curves and images are left out; the exit code is 1 if any are."""
    for problem in dict.fromkeys(problems):
        print(f"warning: left out: {problem}", file=sys.stderr)
    return 1 if problems else 0


def verify_results(cfg: TablesSettings) -> int:
    """Print what was scored beside what papers print; 0 only where every number agrees."""
    if cfg.experiment is None:
        raise CommandError("verify needs a recipe: python tables.py verify experiment=isnet/dis5k")
    printed = reported_results.load()
    recipe = (
        reported_results.EXPERIMENTS / f"{cfg.experiment}.yaml"
    )  # may name another's printed row
    if not recipe.is_file() and not any(belongs(r.experiment, cfg.experiment) for r in printed):
        raise UserError(f"no printed number to compare {cfg.experiment} with; see experiments/")
    problems: list[str] = []
    groups = _groups(cfg, problems)
    rows = [row for name in _printed_names(groups) for row in reported_results.of(name, printed)]
    if not rows:
        raise UserError(f"no printed number to compare {cfg.experiment} with; see experiments/")
    checks = verify(groups, rows)
    print(report(checks, cfg.digits), end="")
    left_out = _report_left_out(problems)
    return left_out if all(check.passed for check in checks) else 1


def _printed_names(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(group.printed_as for group in groups))


def _metrics(cfg: TablesSettings, groups: Sequence[Group]) -> list[str] | None:
    """The columns asked for; None for all. What no run was measured by is a UserError."""
    wanted = cfg.metrics
    known = list(dict.fromkeys(name for one in groups for name in one.metrics()))
    if unknown := [name for name in wanted or () if name not in known]:
        raise UserError(
            f"metrics: no run has {', '.join(unknown)}, nor do they follow from what is stored; "
            f"they have {', '.join(known)}"
        )
    return wanted


def _groups(cfg: TablesSettings, problems: list[str]) -> list[Group]:
    return group(collect(cfg.runs, cfg.experiment, cfg.means, problems, cfg.metrics or ()))
