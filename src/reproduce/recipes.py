"""Recipes by name, what they are composed to, and what their paper's README says they cost."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig

from src.errors import UserError
from src.paths import CONF, EXPERIMENTS
from src.training.config import register


def named(names: str) -> list[str]:
    """The recipes that a comma list of recipes and papers' folders names, in that order.

    Raises UserError that lists what there is.
    """
    found = [recipe for name in names.split(",") for recipe in _of(name.strip().strip("/"))]
    return list(dict.fromkeys(found))


def composed(recipe: str, overrides: Sequence[str]) -> DictConfig:
    """The config that train.py makes of a recipe. Raises UserError at an override it refuses."""
    register()
    try:
        with initialize_config_dir(str(CONF), version_base=None):
            return compose("train", [f"experiment={recipe}", *overrides])
    except HydraException as error:
        raise UserError(f"{recipe}: {' '.join(str(error).split())}") from error


def estimate(recipe: str) -> str | None:
    """The line on a recipe in the table of costs of its paper's README: `GPU hours: 38; …`."""
    readme = (EXPERIMENTS / recipe).parent / "README.md"
    if not readme.is_file():
        return None
    rows = [_cells(line) for line in readme.read_text(encoding="utf-8").splitlines()]
    tables = [row for row in rows if row]
    head = next((row for row in tables if row[0] == "recipe"), None)
    line = next((row for row in tables if row[0] == f"`{recipe}`"), None)
    if head is None or line is None:
        return None
    return "; ".join(f"{name}: {cell}" for name, cell in zip(head[1:], line[1:], strict=True))


def _of(name: str) -> list[str]:
    if (EXPERIMENTS / f"{name}.yaml").is_file():
        return [name]
    recipes = sorted(EXPERIMENTS.glob("*/*.yaml"))
    inside = [path for path in recipes if path.parent.name == name]
    if not inside:
        known = ", ".join(map(_name, recipes))
        raise UserError(f"no recipe {name!r}; there are {known}")
    return [_name(path) for path in inside]


def _name(path: Path) -> str:
    return path.relative_to(EXPERIMENTS).with_suffix("").as_posix()


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
