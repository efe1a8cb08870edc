"""The wheel carries everything that finecut reads, and works from wherever it is called."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("src", "conf", "experiments", "hydra_plugins")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` would put into site-packages, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"  # a build leaves files beside what it builds
    for name in SOURCES:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, sources / name, symlinks=True, ignore=without)
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    words = ("pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    built = subprocess.run(
        [sys.executable, "-m", *words], cwd=sources, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("finecut-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def files(folder: Path, where: str = "") -> set[str]:
    """Files below a folder but for compiled ones, with the prefix that they have elsewhere."""
    found = (
        path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"
    )
    return {f"{where}{path.relative_to(folder).as_posix()}" for path in found}


def test_the_wheel_holds_every_file_of_the_package_its_configs_and_experiments(
    unpacked: Path,
) -> None:
    expected = {
        *files(ROOT / "src", "src/"),
        *files(ROOT / "hydra_plugins", "hydra_plugins/"),
        *(name for name in files(ROOT / "conf", "src/conf/") if "/experiment/" not in name),
        *files(ROOT / "experiments", "src/conf/experiment/"),
    }
    held = {name for name in files(unpacked) if ".dist-info/" not in name}
    assert held == expected
    assert "src/weights/registry.yaml" in held
    assert "src/webapp/static/index.html" in held


def test_an_installed_package_works_from_any_folder(unpacked: Path, tmp_path: Path) -> None:
    program = """
import src
from src.paths import CONF, IS_INSTALLED
from src.weights.registry import released
from src.weights.loading import build
from src.inference.model_spec import named
from src.training.config import composed, names
from src.training.provenance import git_state
from src.reproduce.recipes import composed as recipe, named as recipes
from src.reporting.reported_results import load
assert IS_INSTALLED and CONF.parent.samefile(src.__path__[0])
assert "u2net" in released() and "isnet" in names() and len(load()) > 100
assert named("u2netp").processor.size == (320, 320)
assert composed("dextr") and recipes("isnet") and recipe("isnet/dis5k", []).model
assert git_state() == {"commit": None, "dirty": None}
print(src.__file__, sum(p.numel() for p in build("u2netp").parameters()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(unpacked) in done.stdout
    assert list(tmp_path.iterdir()) == []
