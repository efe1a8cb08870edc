"""No document rots: links lead somewhere, and every command works or is at least understood.

What can be done on a small scale is carried out in test_newcomer.py (README), test_extend.py and
test_documented_commands.py. Here the rest, which needs downloads, hours or a cluster, must be
understood: the command exists and its config composes with these settings; the module or the make
target exists.
"""

import ast
import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from src import cli
from src.command_line import quote_overrides
from src.reporting.cli import settings
from src.training.config import register

from .documented import PAGES, Command, blocks, commands, first, mentioned
from .running import ROOT
from .test_documented_commands import carried_out_here

CARRIED_OUT = {c.words for c in carried_out_here()}
COMMANDS = [
    c
    for c in dict.fromkeys([*commands(), *mentioned()])
    if c.page != "docs/extend.md" and c.words not in CARRIED_OUT
]
STARTERS = {"torchrun", "srun"}
# What belongs to the system and not to this project.
FOREIGN = {"source", "git", "pip", "curl", "wandb", "cd", "optuna-dashboard", "docker"}
FLAGS = re.compile(r"-\w$|--")


@pytest.fixture(autouse=True)
def _clean_hydra() -> Iterator[None]:
    yield
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_command_is_understood(command: Command) -> None:
    words = list(command.words)
    if words[0] in FOREIGN:
        return
    if words[0] == "make":
        check_make(words[1:])
        return
    if words[0] in STARTERS:
        words = words[next(i for i, w in enumerate(words) if w.endswith(".py")) :]
    else:
        assert words.pop(0) == "python", f"{command} is no command of ours"
    if words[0] == "-m":
        check_module(words[1], words[2:])
        return
    assert (ROOT / words[0]).is_file(), f"{words[0]} does not exist"
    check_config(Path(words[0]).stem, words[1:])


def check_make(words: list[str]) -> None:
    """Let make say what it would do; it knows every target and variable it needs."""
    listed = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr


def check_module(name: str, arguments: list[str]) -> None:
    assert importlib.util.find_spec(name) is not None, f"{name} does not exist"
    if name == "src":
        command = " ".join(arguments[:2])
        command = command if command in cli.COMMANDS else arguments[0]
        if command in cli.COMMANDS:
            config = cli.COMMANDS[command].config
            if config is not None:
                check_config(config, arguments[len(command.split()) :])
        else:
            assert arguments[0] in ("--help", "-sc", "COMMAND"), (
                f"finecut has no command {arguments[0]}"
            )


def check_config(name: str, arguments: list[str]) -> None:
    """Compose as the command would; of a sweep, the first value of each key."""
    if name == "tables":  # has settings without groups
        assert settings(ROOT / "conf/tables.yaml", [word for word in arguments if "=" in word])
        return
    register()
    words = [word for word in arguments if "=" in word and not FLAGS.match(word)]
    overrides = quote_overrides(words)
    parsed = OverridesParser.create().parse_overrides(overrides)
    single = [first(override) for override in parsed]
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        config = cli.config_of(name, arguments) if name == "evaluate" else name
        cfg = compose(config or name, [word for word in single if not word.startswith("hydra.")])
    assert OmegaConf.to_yaml(cfg)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_names_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("src"):
                module = importlib.import_module(node.module or "")
                missing = [a.name for a in node.names if not hasattr(module, a.name)]
                assert not missing, f"{node.module} has no {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    files = [target for target in targets if "://" not in target]
    missing = [target for target in files if not (page.parent / target).exists()]
    assert not missing, f"no such file: {', '.join(missing)}"


def test_every_page_is_in_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    listed = {file for entry in yaml.safe_load(text)["nav"] for file in files_of(entry)}
    docs = ROOT / "docs"
    assert listed == {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}


def files_of(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for value in entry.values():
            yield from files_of(value)
    elif isinstance(entry, list):
        for value in entry:
            yield from files_of(value)


def test_one_page_lists_every_command() -> None:
    page = (ROOT / "docs/commands.md").read_text()
    assert [name for name in cli.COMMANDS if f"`finecut {name}" not in page] == []


def test_every_page_stands_in_the_site_and_in_the_index() -> None:
    site, index = (ROOT / "mkdocs.yml").read_text(), (ROOT / "docs/index.md").read_text()
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f": {page}\n" not in site] == []
    assert [page for page in pages if f"({page})" not in index and page != "index.md"] == []


def test_what_the_reference_names_is_found_without_importing() -> None:
    """The site is made from the source: what a package answers by `__getattr__` is not in it."""
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    named = re.findall(r"^::: (\S+)", text, re.MULTILINE)
    assert len(named) == len(set(named)) > 20
    for name in named:
        if (ROOT / f"{name.replace('.', '/')}.py").is_file():
            continue
        module, _, attribute = name.rpartition(".")
        path = ROOT / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        known = {getattr(node, "name", None) for node in tree.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                known |= {alias.asname or alias.name for alias in node.names}
        assert attribute in known, name
