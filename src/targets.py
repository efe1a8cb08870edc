"""Which classes and functions a config may name (`_target_`), and which nothing may.

Configs are trusted like code: the command line, conf/, a run folder that is resumed. The list is a
second wall behind that: what is named is built only if it is one of finecut's parts, of the
libraries' parts that recipes are made of, or of the user's own modules.
"""

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from src.errors import UserError

TARGET = "_target_"
# Of installed packages: what recipes name, and what the same lists of their documentation hold.
_LIBRARIES = (
    "torch.nn",
    "torch.optim",
    "torchmetrics",
    "lightning.Trainer",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.accelerators",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.plugins",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "lightning.pytorch.trainer",  # where Trainer is defined
)
_INSTALLED = ("site-packages", "dist-packages")


def check_targets(node: Any, key: str = "") -> None:
    """Raise UserError if plain config values name anything that may not be built."""
    if isinstance(node, dict):
        if isinstance(target := node.get(TARGET), str):
            _check(target, f"{key}.{TARGET}" if key else TARGET)
        for name, value in node.items():
            check_targets(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            check_targets(value, f"{key}[{index}]")


def may_be_named(target: str) -> bool:
    """Whether a name is on the list; nothing is imported."""
    listed = any(target == part or target.startswith(f"{part}.") for part in _LIBRARIES)
    return listed or is_own_code(target)


def is_own_code(target: str) -> bool:
    """Whether a dotted name lies in a module that is neither Python's nor an installed package's:
    finecut's (`src`), or a module of the user's own beside it or on the PYTHONPATH.
    """
    top = target.partition(".")[0]
    if top == "src":  # wherever it is installed
        return True
    if not top.isidentifier() or top in sys.stdlib_module_names or top == "__main__":
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    return not any(part in _INSTALLED for place in places for part in Path(place).parts)


def _check(target: str, key: str) -> None:
    if not may_be_named(target):
        raise _refusal(target, key)
    made = _located(target)
    # Through `src.training.child.subprocess.run` a name of ours leads to another's function.
    home = getattr(made, "__module__", None)
    if isinstance(home, str) and not may_be_named(f"{home}.{getattr(made, '__name__', '')}"):
        raise _refusal(target, key)


def _refusal(target: str, key: str) -> UserError:
    return UserError(
        f"{key}: {target} may not be built; a config names what is in src, torch.optim, torch.nn, "
        "torchmetrics, Lightning's Trainer, callbacks, loggers and strategies, or a module of your "
        "own "
        "(docs/security.md)"
    )


def _located(target: str) -> Any:
    """The object of a dotted name; None where there is none, which building it will say."""
    parts = target.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found
    return None
