"""docs/extend.md is carried out: its files are written into a copy, its commands run there."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from .documented import ROOT
from .running import only_run, start, write_pairs

PAGE = ROOT / "docs/extend.md"
REGISTRY = "src/weights/registry.yaml"  # an entry is added to it
FILE = re.compile(r"`([\w/]+\.(?:py|yaml))`[^`]*?\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
QUICK = [
    "model.size=32",
    "model.steps=4",
    "data.num_workers=0",
    "trainer.accelerator=cpu",
    "callbacks.progress=null",
]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's files in it, and the kernels that numba compiled."""
    copy = tmp_path_factory.mktemp("extended")
    without = shutil.ignore_patterns("*.pyc", "*.tmp.*")
    for name in ("src", "conf", "experiments", "hydra_plugins"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=without)
    for script in ROOT.glob("*.py"):
        shutil.copy(script, copy)
    written = FILE.findall(PAGE.read_text())
    assert [name for name, _ in written] == [
        "src/networks/tiny.py", "conf/model/tiny.yaml", REGISTRY, "conf/data/mine.yaml",
        "src/metrics/darkness.py", "conf/metrics/mine.yaml",
    ]  # fmt: skip
    for name, text in written:
        assert (copy / name).exists() == (name == REGISTRY)
        with (copy / name).open("a") as file:
            file.write(text)
    return copy


def call(folder: Path, script: str, *words: str) -> str:
    """What a script of the folder prints, or with `-m` a module."""
    named = script if script == "-m" else str(folder / script)
    process = start(named, words, folder, PYTHONPATH=str(folder))
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    return output


@pytest.mark.slow
def test_a_new_network_on_new_data_trains_scores_and_predicts(extended: Path) -> None:
    for part in ("train", "test"):
        write_pairs(extended / "sets" / part, 8)
    words = ["model=tiny", "data=mine", f"data.root={extended}/sets", "metrics=mine"]
    metrics = ["metrics.test=[mae,darkness,dice]", "metrics.val=[max_f,dice]"]
    call(extended, "train.py", *words, *metrics, *QUICK)
    run = only_run(extended / "logs")
    assert run.parent.name == "tiny-mine"
    table = (run / "results.md").read_text()
    assert "| mae | darkness | dice |" in table
    assert "torchmetrics.classification.BinaryF1Score(threshold=0.5)" in table
    assert "val/dice" in (run / "metrics.csv").read_text()
    best = run / "checkpoints/best.ckpt"
    image_files = extended / "sets/test/images"
    words = [f"weights={best}", f"input={image_files}", "type=overlay", "output=seen"]
    call(extended, "predict.py", *words, "device=cpu")
    assert len(list((extended / "seen").rglob("*.png"))) == 8
    masks = extended / "sets/test/masks"
    words = [f"maps={masks}", f"ground_truth={masks}", f"output={extended}/scores"]
    words += ["metrics.test=[mae,darkness]"]
    call(extended, "evaluate.py", *words)
    found = json.loads((extended / "scores/results.json").read_text())
    black = np.mean([(cv2.imread(str(path), 0) == 0).mean() for path in masks.iterdir()])
    assert next(iter(found.values()))["darkness"] == pytest.approx(black)
    assert "darkness ↓" in (extended / "scores/results.tex").read_text().replace(
        r"$\downarrow$", "↓"
    )
    words = [f"maps={masks}", f"ground_truth={masks}", f"output={extended}/dice", "metrics=mine"]
    call(extended, "evaluate.py", *words)
    found = json.loads((extended / "dice/results.json").read_text())
    assert next(iter(found.values()))["dice"] == 1
    assert "dice ↑" in (extended / "dice/results.tex").read_text().replace(r"$\uparrow$", "↑")
    assert (
        "torchmetrics.classification.BinaryF1Score(threshold=0.5)"
        in (extended / "dice/results.md").read_text()
    )


# Weights as authors would release them, under the name of the registry's entry.
RELEASED = """
import sys

import torch

from src.weights import build
from src.weights.loading import to_official

torch.manual_seed(0)
torch.save(to_official(build("tiny")), sys.argv[1])
"""


@pytest.mark.slow
def test_a_released_network_is_a_file_a_yaml_and_an_entry(
    extended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = extended / "weights"
    weights.mkdir()
    monkeypatch.setenv("FINECUT_WEIGHTS", str(weights))
    monkeypatch.setenv("FINECUT_OFFLINE", "1")
    (extended / "released.py").write_text(RELEASED)
    call(extended, "released.py", str(weights / "tiny-photos.pth"))
    assert re.search(
        r"^\| tiny-photos +\| tiny +\| .*\| MIT +\| MIT +\| DUTS-TR",
        call(extended, "-m", "src", "models"),
        re.M,
    )
    page = call(extended, "-m", "src.inference.model_cards")
    card = page.split("## Tiny\n")[1]
    assert "### tiny-photos\n\nNothing; an example.\n" in card
    assert "| input | 128 × 128, the whole image, resized as `opencv` |" in card
    assert "python predict.py weights=tiny-photos input=photos" in card
    write_pairs(extended / "photos", 2)
    images = extended / "photos" / "images"
    words = ["weights=tiny-photos", f"input={images}", "type=overlay", "output=by-name"]
    call(extended, "predict.py", *words, "device=cpu")
    assert len(list((extended / "by-name").rglob("*.png"))) == 2
    assert (weights / "tiny-photos.pth.sha256").is_file()  # noted, where none was published


# One process: it trains with every preset, and then uses what it trained.
EVERYTHING = """
from pathlib import Path

import torch

from src import load, train
from src.export.export import Request, export
from src.paths import CONF

torch.set_num_threads(1)
presets = sorted(path.stem for path in (CONF / "memory").glob("*.yaml"))
words = {words}
for preset in presets:
    run = train([*words, f"memory={{preset}}"])
    assert "mae" in run.results["mine"], run.results
    print(preset, run.config.trainer.precision)
assert len(presets) >= 4

network = load(run.checkpoint, "cpu").network
kinds = [type(module).__name__ for module in network.modules()]
assert type(network).__name__ == "Tiny" and "BatchNorm2d" not in kinds, kinds
for kind in ("onnx", "torchscript"):
    done = export(load(run.checkpoint, "cpu"), Request(kind, Path("exported")))
    assert done.parity.passed, done.report.read_text()
    print(done.file)
"""


WITHOUT_TRAINING = """
import src
import torch
from src import metrics
from src.metrics.__main__ import page
from torchmetrics import MetricCollection

prediction = torch.tensor([[[[0, 0, 0, 255]]]], dtype=torch.uint8)
assert src.score(prediction[0, 0].numpy(), prediction[0, 0].numpy(), ["darkness"]) == {
    "darkness": 0.75
}
collection = MetricCollection({"dark": metrics.SegmentationMetric("darkness")})
collection.update(prediction, prediction)
assert float(collection.compute()["dark"]) == 0.75
assert not metrics.higher_is_better("darkness")
(line,) = [line for line in page().splitlines() if "darkness/1" in line]
for said in ("↓", "8 bit", "none", "all pixels of the map", "share of black pixels", "mean over"):
    assert said in line, line
"""


def test_a_new_metric_is_a_torchmetric_and_on_the_page_of_protocols(extended: Path) -> None:
    (extended / "new_metric.py").write_text(WITHOUT_TRAINING)
    call(extended, "new_metric.py")


@pytest.mark.slow
def test_it_trains_with_every_memory_preset_is_fused_and_exported(extended: Path) -> None:
    for part in ("train", "test"):
        write_pairs(extended / "sets" / part, 8)
    words = ["model=tiny", "data=mine", f"data.root={extended}/sets", *QUICK]
    (extended / "everything.py").write_text(EVERYTHING.format(words=words))
    said = call(extended, "everything.py")
    assert "set_grad_checkpointing" not in said
    assert {"tiny.onnx", "tiny.pt"} == {
        path.name for path in (extended / "exported").iterdir() if path.suffix in (".onnx", ".pt")
    }
