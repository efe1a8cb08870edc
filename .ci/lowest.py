"""Prints the lowest version that pyproject.toml allows of each direct dependency, for `pip -c`.

`make test-lowest` installs these: a bound that is only believed is found out there.
"""

import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest(project: dict[str, Any]) -> list[str]:
    """`name==version` of each; raises ValueError where one has no lower bound."""
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds: dict[str, list[str]] = {}
    for requirement in (Requirement(line) for each in lists for line in each):
        if requirement.name != project["name"]:
            bounds.setdefault(requirement.name, []).extend(
                one.version for one in requirement.specifier if one.operator in (">=", "==")
            )
    if unbounded := [name for name, versions in bounds.items() if not versions]:
        raise ValueError(f"no lower bound, so nobody knows what works: {', '.join(unbounded)}")
    return sorted(f"{name}=={max(bounds[name], key=Version)}" for name in bounds)


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(lowest(project)))
