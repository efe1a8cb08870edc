"""The wheel carries everything that finecut reads, and works from wherever it is called."""

import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from .running import ROOT, write_pairs

DRAWN = "synthetic" if (ROOT / "conf/data/synthetic.yaml").is_file() else "shapes"
SOURCES = ("src", "conf", "experiments", "hydra_plugins")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` makes first, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"  # a build leaves files beside what it builds
    for name in SOURCES:
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, sources / name, symlinks=True, ignore=without)
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    words = ("pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    carry_out([sys.executable, "-m", *words], sources)
    (built,) = folder.glob("finecut-*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """What lies in site-packages once the wheel is installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "site")
    return wheel.parent / "site"


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The commands of an environment that holds the wheel, and sees what it depends on here.

    The packages of this environment are a folder on the other's path: what they would do on
    start-up, as an editable installation of finecut does, happens in their own environment only.
    """
    environment = wheel.parent / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin/python"
    words = ("pip", f"--python={python}", "install", "--no-deps", "--no-index", str(wheel))
    carry_out([sys.executable, "-m", *words], wheel.parent)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text("\n".join(map(str, site.getsitepackages())))
    return environment / "bin"


def carry_out(command: Sequence[str], folder: Path, **variables: str) -> str:
    """Run a command to its end in an empty environment; what it printed."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
    done = subprocess.run(
        command, cwd=folder, env=kept | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


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
from src.models import composed, names
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
    here, home = tmp_path / "here", tmp_path / "home"  # matplotlib makes folders at home
    here.mkdir()
    variables = {"PYTHONPATH": str(unpacked), "PATH": "", "HOME": str(home)}
    assert str(unpacked) in carry_out([sys.executable, "-c", program], here, **variables)
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_an_installed_wheel_trains_predicts_and_scores(installed: Path, tmp_path: Path) -> None:
    """The three commands as a stranger types them, in a folder without the sources."""
    variables = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def finecut(*words: str) -> str:
        return carry_out([str(installed / "finecut"), *words], tmp_path, **variables)

    finecut(
        "train", "model=u2netp", f"data={DRAWN}", "debug=fast", "model.size=32",
        "data.num_workers=0", "trainer.accelerator=cpu", "hydra.run.dir=run", "test=false",
    )  # fmt: skip
    write_pairs(tmp_path, 2)
    finecut("predict", "images", "weights=run/checkpoints/best.ckpt", "device=cpu")
    assert len(list((tmp_path / "cutouts").rglob("*.png"))) == 2
    finecut("evaluate", "maps=masks", "ground_truth=masks", "output=scores", "metrics.test=[mae]")
    assert "mae" in (tmp_path / "scores/results.md").read_text()
    config = (tmp_path / "run/config.yaml").read_text()
    assert str(ROOT) not in config, "nothing of the sources is used"


def test_an_installed_wheel_says_how_its_extras_are_installed(
    installed: Path, tmp_path: Path
) -> None:
    program = """
import src
from src.errors import missing_extra
print(src.__file__, src.__version__)
print(missing_extra("ONNX needs onnx", "export"))
"""
    place, advice = carry_out([str(installed / "python"), "-c", program], tmp_path).splitlines()
    assert str(installed.parent) in place
    assert advice.startswith("ONNX needs onnx: pip install 'onnx>=")
    assert "'onnxruntime>=" in advice
