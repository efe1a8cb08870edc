"""The oldest packages that `make test-lowest` installs are those that pyproject.toml names."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def lowest() -> Callable[[dict[str, Any]], list[str]]:
    return runpy.run_path(str(ROOT / ".ci" / "lowest.py"))["lowest"]


def project(*dependencies: str, **extras: list[str]) -> dict[str, Any]:
    return {"name": "own", "dependencies": dependencies, "optional-dependencies": extras}


def test_a_bound_is_taken_from_every_list_and_the_highest_counts(
    lowest: Callable[[dict[str, Any]], list[str]],
) -> None:
    found = lowest(project("a>=1.9,<2,!=1.10", "b>=3", c=["a>=1.10", "b<4", "own[d]"], d=["e==5"]))
    assert found == ["a==1.10", "b==3", "e==5"]


def test_a_dependency_without_a_lower_bound_is_refused(
    lowest: Callable[[dict[str, Any]], list[str]],
) -> None:
    with pytest.raises(ValueError, match=r"no lower bound.*: b"):
        lowest(project("a>=1", x=["b<2"]))
