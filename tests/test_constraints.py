"""constraints.txt pins what pyproject.toml asks for, on every Python that it promises."""

import re

import pytest
from packaging.markers import Environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .running import ROOT
from .test_container import PROJECT

PYTHONS = re.findall(r'^    "Programming Language :: Python :: (3\.\d+)"', PROJECT, re.MULTILINE)


def asked_for() -> list[Requirement]:
    """The dependencies of pyproject.toml, those of its extras too."""
    text = PROJECT.partition("\ndependencies = ")[2].partition("\n[tool.")[0]
    found = map(Requirement, re.findall(r'^    "([^"]+)",', text, re.MULTILINE))
    return [one for one in found if one.name != "finecut"]


def pins_of(python: str) -> dict[str, str]:
    """The version of each package on Linux with a Python."""
    machine = Environment(
        python_version=python,
        python_full_version=f"{python}.9",
        sys_platform="linux",
        platform_system="Linux",
        platform_machine="x86_64",
        os_name="posix",
        implementation_name="cpython",
        platform_python_implementation="CPython",
        implementation_version=f"{python}.9",
        platform_release="",
        platform_version="",
    )
    pins: dict[str, str] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(dict(machine)):
            name = canonicalize_name(pin.name)
            assert name not in pins, f"{name} is pinned twice for Python {python}"
            pins[name] = str(pin.specifier).removeprefix("==")
    return pins


def test_the_promised_pythons_are_those_that_are_classified() -> None:
    (lowest,) = re.findall(r'^requires-python = ">=(.+)"', PROJECT, re.MULTILINE)
    assert PYTHONS[0] == lowest
    assert len(PYTHONS) > 3


@pytest.mark.parametrize("python", PYTHONS)
def test_each_dependency_has_one_pin_within_its_bounds(python: str) -> None:
    pins = pins_of(python)
    asked = asked_for()
    assert {"torch", "pytest", "optuna", "mkdocs-material", "ruff"} <= {one.name for one in asked}
    for one in asked:
        assert pins[canonicalize_name(one.name)] in one.specifier, f"make constraints: {one}"
