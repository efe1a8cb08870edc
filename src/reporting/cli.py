"""`finecut table`: collects runs into tables, or verifies them against the papers."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from src.atomic import atomic_write
from src.command_line import is_text, literals, text_or_list
from src.errors import CommandError, UserError
from src.paths import CONF
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
from src.settings.parse import parse
from src.settings.schema import TableFormat, TableLayout

_TEXT = ("experiment", "train")  # not for Hydra, where they choose or hold other settings
CONFIG = CONF / "tables.yaml"
HELP = """finecut puts what was scored into tables, beside the numbers that papers print: finished
runs, checkpoints (finecut evaluate weights=…) and folders of maps (finecut evaluate maps=…).

  python tables.py                                 a table of every finished run
  python tables.py runs=[logs,maps_scores]         and of maps that were scored
  python tables.py layout=wide                     data sets side by side, as papers print them
  python tables.py experiment=isnet/dis5k          of one recipe, beside the printed numbers
  python tables.py verify experiment=isnet/dis5k   exit code 0 only if every number agrees

"""


def settings(config: Path, words: Sequence[str]) -> DictConfig:
    """The yaml with `key=value` words applied; a key that it lacks is a CommandError.

    Paths and names are taken as they were typed; other values are YAML.

    Hydra would take `experiment=isnet/dis5k` for a choice of the group `conf/experiment`, hence
    OmegaConf alone.
    """
    cfg = OmegaConf.load(config)
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    for word in words:
        if "=" not in word:
            raise CommandError(f"{word!r} is not key=value; --help lists the keys")
        key, _, value = word.partition("=")
        try:
            if value and _is_text(key, cfg):
                OmegaConf.update(cfg, key, literals(text_or_list(value)))
            else:
                cfg.merge_with_dotlist([word])
        except OmegaConfBaseException as error:
            keys = ", ".join(map(str, cfg))
            raise CommandError(f"{str(error).splitlines()[0]}; the keys are {keys}") from error
        except YAMLError as error:
            raise CommandError(f"{word}: {str(error).splitlines()[0]}") from error
    return cfg


def _is_text(key: str, cfg: DictConfig) -> bool:
    return key in cfg and (key in _TEXT or is_text(key))


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    if words[:1] == ["verify"]:
        return _verify(parse(TablesSettings, settings(CONFIG, words[1:])))
    return _write(parse(TablesSettings, settings(CONFIG, words)))


def _write(cfg: TablesSettings) -> int:
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


def _verify(cfg: TablesSettings) -> int:
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
