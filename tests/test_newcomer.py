"""A newcomer's hour: the commands of the README and the tutorial, in a folder with images.

In the order in which they can be carried out: training comes before what needs a checkpoint. What
makes them quick (small inputs, few steps) is added behind each command. Commands that need
hours, a download, a cluster or a browser are named with the test that carries them out.
"""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import RunCommand
from .documented import ROOT, commands
from .running import TINY, run, write_pairs

QUICK = [word for word in TINY if not word.startswith("model=")]
WALKED = {
    "make check-data DATA=folder ROOT=~/mine": [],
    "python train.py model=u2netp data=folder data.root=~/mine": QUICK,
    "python train.py --help": [],
    "python predict.py weights=logs/<run>/checkpoints/best.ckpt input=photos type=[mask,white] "
    "output=cutouts": ["device=cpu"],
    "python evaluate.py maps=predictions ground_truth=masks output=scores": ["workers=1"],
    "python evaluate.py weights=logs/<run>/checkpoints/best.ckpt data=dis5k data.root=~/sets": [
        "data=folder", "data.root=~/mine", "data.test.images=images", "data.test.masks=masks",
        "data.num_workers=0", "trainer.accelerator=cpu",
    ],
    "python export.py weights=logs/<run>/checkpoints/best.ckpt format=onnx output=exported": [
        "images=photos",
    ],
    "python tables.py runs=logs output=tables": [],
}  # fmt: skip
ELSEWHERE = {
    "make demo": "experiments/demo.yaml composes in test_experiments.py; built-in data: shapes",
    "make test": "this",
    "python predict.py weights=u2net": "weights/test_registry.py downloads from a local server",
    "python -m src predict photo.jpg": "test_cli.py, with weights that are there",
    "python app.py": "test_app.py, page/",
    "python evaluate.py maps=METHODS": "evaluation/test_score_methods.py",
    "python evaluate.py weights=FILE data=folder data.root=MINE": "runs/test_scoring.py",
    "python train.py model=isnet data=folder": "test_finetune.py",
    "python train.py model=isnet data=dis5k data.root=~/sets trainer": "test_distributed.py",
    "python train.py experiment=isnet/dis5k": "test_experiments.py",
    "make reproduce": "reproduce/",
    "python train.py -m model=u2netp,isnet": "test_sweeps.py",
    "python train.py -m sweep=optuna": "test_sweeps.py",
    "python train.py -m launcher=slurm": "slurm/test_sweeps.py",
    "python train.py model=isnet data=dis5k data.root=~/sets memory": "training/",
    "python annotate.py": "annotation/",
    "python -m src benchmark": "benchmark/",
}  # fmt: skip


def readme() -> list[str]:
    return [" ".join(c.words) for c in commands() if c.page in ("README.md", "docs/tutorial.md")]


def test_every_command_of_the_readme_has_its_test() -> None:
    listed = readme()
    assert set(WALKED) <= set(listed)
    left = [line for line in listed if line not in WALKED and not line.startswith("source ")]
    nowhere = [line for line in left if not any(line.startswith(start) for start in ELSEWHERE)]
    assert not nowhere


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with images, masks, and somebody's predictions."""
    home = tmp_path_factory.mktemp("home")
    write_pairs(home / "mine", 16)
    (home / "photos").mkdir()
    for name in ("picture0.png", "picture1.png"):
        shutil.copy(home / "mine/images" / name, home / "photos")
    shutil.copytree(home / "mine/masks", home / "masks")
    shutil.copytree(home / "mine/masks", home / "predictions")
    return home


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readme_can_be_walked(
    home: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    for line, quick in WALKED.items():
        output = carry_out(line, quick, home, run_command)
        assert "Traceback" not in output
    assert (home / "cutouts/mask/picture0.png").is_file()
    assert (home / "cutouts/white/picture1.png").is_file()
    scores = json.loads((home / "scores/results.json").read_text())
    assert [values["mae"] for values in scores.values()] == [0], (
        "ground truth scored as its own maps"
    )
    assert list((home / "exported").glob("*.onnx"))
    assert "u2netp" in (home / "tables/table.md").read_text()


def carry_out(line: str, quick: list[str], home: Path, run_command: RunCommand) -> str:
    """Run a line as a shell would in `home`, with the run's name filled in; return its output.

    Training has a process of its own; the other commands spare the imports of theirs.
    """
    if "<run>" in line:
        (trained,) = (home / "logs/u2netp-folder").iterdir()
        line = line.replace("logs/<run>", str(trained.relative_to(home)))
    words = [*shlex.split(line), *quick]
    if words[0] == "make":
        dry = ["make", "-n", "--no-print-directory", *words[1:]]  # `make test` may be above
        printed = subprocess.check_output(dry, cwd=ROOT, text=True)
        words = shlex.split(printed.strip().splitlines()[-1])
    return run("train.py", words[2:], home) if words[1] == "train.py" else run_command(*words[1:])
