"""The packages of `src` depend on what docs/architecture.md says they may, and on no circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .running import ROOT

TOP = "files of `src` itself"
# Beside the files of `src` itself. Those import no package, but for the entry points named here.
ENTRY_POINTS = {"__init__.py", "cli.py", "composition.py", "doctor.py"}
MAY_IMPORT: dict[str, set[str]] = {
    "settings": set(),
    "processing": set(),
    "metrics": set(),
    "results": {"metrics"},
    "weights": set(),
    "networks": {"weights"},
    "datamodules": {"settings", "processing", "weights"},
    "losses": {"networks", "datamodules"},  # of datamodules only `Batch`
    "lit_modules": {"networks", "losses", "processing", "metrics", "datamodules", "evaluation"},
    "training": {"settings", "networks", "weights", "processing", "datamodules", "results"},
    "callbacks": {"processing", "metrics", "datamodules", "training", "results", "engines"},
    "sweeps": {"metrics", "settings", "training", "results"},
    "evaluation": {"settings", "metrics", "datamodules", "training", "results", "reporting"},
    "reporting": {"settings", "training", "weights", "metrics", "results"},
    "reproduce": {"settings", "training", "sweeps", "reporting", "datamodules"},
    "engines": {"networks", "weights", "processing", "training"},
    "inference": {
        *("settings", "networks", "weights", "processing", "datamodules", "training", "engines"),
    },
    "export": {
        *("settings", "networks", "weights", "processing", "metrics", "datamodules", "training"),
        *("results", "engines", "inference"),
    },
    "benchmark": {"settings", "datamodules", "engines", "inference", "export"},
    "annotation": {"settings", "inference", "processing", "datamodules", "training"},
    "webapp": {
        *("settings", "inference", "processing", "export", "annotation", "weights", "datamodules"),
    },
}
WITHOUT_TORCH = {"evaluation", "reporting", "reproduce"}


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    """What a file imports anywhere in it, dotted; relative ones stay within their package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages_imported(path: Path) -> set[str]:
    named = {name.split(".")[1] for name in imports(path) if name.startswith("src.")}
    return {name for name in named if (ROOT / "src" / name).is_dir()} - {package_of(path)}


FILES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_what_it_may(package: str) -> None:
    for path in (path for path in FILES if package_of(path) == package):
        foreign = packages_imported(path) - MAY_IMPORT[package]
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(sorted(foreign))}"


def test_only_entry_points_among_the_top_files_import_packages() -> None:
    for path in (ROOT / "src").glob("*.py"):
        assert path.name in ENTRY_POINTS or not packages_imported(path), path.name


def test_no_package_imports_another_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        if package := package_of(path):
            graph.setdefault(package, set()).update(packages_imported(path))
    assert set(TopologicalSorter(graph).static_order()) == set(MAY_IMPORT)  # raises in a circle


@pytest.mark.parametrize("package", sorted(WITHOUT_TORCH))
def test_a_light_package_names_no_torch(package: str) -> None:
    for path in (path for path in FILES if package_of(path) == package):
        heavy = {name.split(".")[0] for name in imports(path)} & {"torch", "lightning", "timm"}
        assert not heavy, f"{path.relative_to(ROOT)} imports {', '.join(sorted(heavy))}"


def test_only_one_file_knows_timm() -> None:
    users = {path.name for path in FILES for name in imports(path) if name.split(".")[0] == "timm"}
    assert users == {"backbone.py"}


def test_every_package_is_described() -> None:
    described = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    packages = {package_of(path) for path in FILES} - {""}
    assert packages == set(MAY_IMPORT)
    assert [name for name in sorted(packages) if f"`src/{name}`" not in described] == []
    assert TOP in described


def imported_at_once(module: str) -> set[str]:
    """All modules that importing one imports: of `src` its files, of others the packages' names."""
    found: set[str] = set()
    ahead = [module]
    while ahead:
        name = ahead.pop()
        if name in found:
            continue
        found.add(name)
        path = ROOT / name.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not name.startswith("src") or not path.is_file():
            continue
        ahead += [name.rpartition(".")[0]] if "." in name else []
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # not what functions import
            if isinstance(node, ast.Import):
                ahead += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                ahead += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return {name if name.startswith("src") else name.partition(".")[0] for name in found}


HEAVY = {
    "torch",
    "torchvision",
    "lightning",
    "timm",
    "torchmetrics",
    "albumentations",
    "matplotlib",
}


@pytest.mark.parametrize(
    ("module", "too_much"),
    [
        ("src.cli", HEAVY | {"numpy", "cv2", "numba", "hydra", "omegaconf", "pydantic"}),
        ("src.composition", HEAVY | {"numpy", "cv2", "numba"}),
        ("src.settings.describe", HEAVY | {"numpy", "cv2", "numba"}),
        ("src.reporting.cli", HEAVY | {"numpy", "cv2", "numba"}),
        ("src.inference.cli", HEAVY - {"torch"}),
        ("src.inference.segmenter", HEAVY - {"torch"}),
    ],
)
def test_a_command_starts_without_what_it_does_not_use(module: str, too_much: set[str]) -> None:
    imported = imported_at_once(module)
    assert {"src", module} < imported
    assert imported & too_much == set()
