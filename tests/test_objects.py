"""Click-guided models from training to an answer, through the commands."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.datamodules.clicks import InsideOutsidePoints
from src.inference import Segmenter
from src.inference.model_spec import load
from src.metrics import read_click_curves
from tests.conftest import RunCommand
from tests.running import only_run

MODEL = [
    "model=iog_refine",
    "model.network.backbone=resnet18",
    "model.network.pretrained=false",
    "model.size=64",
    "model.batch_size=2",
    "model.steps=2",
    "model.prompts.relax=12",
]
QUIET = ["data.num_workers=0", "trainer.accelerator=cpu", "callbacks.progress=null"]


def write_objects(root: Path, count: int = 8) -> None:
    """Pictures of two discs and maps of their numbers."""
    for kind in ("images", "instances"):
        (root / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        labels = np.zeros((60, 90), np.uint8)
        for number, x in ((1, 22), (2, 66)):
            cv2.circle(labels, (x, 30), int(rng.integers(8, 15)), number, -1)
        noise = rng.integers(0, 90, (60, 90, 3))
        image = (noise + 150 * (labels > 0)[..., None]).astype(np.uint8)
        cv2.imwrite(str(root / "images" / f"{i}.png"), image)
        cv2.imwrite(str(root / "instances" / f"{i}.png"), labels)


@pytest.mark.slow
def test_trained_scored_beside_baselines_scored_again_and_clicked(
    tmp_path: Path, run_command: RunCommand
) -> None:
    write_objects(tmp_path / "set")
    data = ["data=objects", f"data.root={tmp_path / 'set'}", *QUIET]
    run_command("train.py", *MODEL, *data, "callbacks.results.baselines=true")
    folder = only_run(tmp_path / "logs")
    (values,) = json.loads((folder / "results.json").read_text()).values()
    assert {"iou", "error_percent", "mapr_vol", "iou_after_0", "iou_after_3"} <= {*values}
    assert values["iou_after_0"] == pytest.approx(values["iou"], abs=1e-6)
    table = (folder / "results.md").read_text()
    assert all(f"| {method} | objects |" in table for method in ("box filled", "GrabCut"))
    assert "simulated clicks into the middle of the largest error" in table

    (checkpoint,) = (folder / "checkpoints").glob("recent-*.ckpt")
    run_command("evaluate.py", f"weights={checkpoint}", *data, "metrics.clicks=20", "output=again")
    again = json.loads((tmp_path / "again" / "results.json").read_text())["objects"]
    assert values.items() <= again.items()
    curves = read_click_curves(tmp_path / "again")["objects"]
    assert curves.ious.shape == (4, 18)
    assert curves.values() == {name: again[name] for name in again.keys() - values.keys()}
    assert {"noc90_prompt3", "nof90_prompt3", "miou_20_prompt3"} <= curves.values().keys()

    run_command("tables.py", f"runs={tmp_path / 'again'}", "metrics=[iou,noc90_prompt3]")
    assert {path.suffix for path in Path("tables").glob("clicks_objects.*")} == {
        *(".png", ".pdf", ".svg"),
    }

    segmenter = Segmenter.from_checkpoint(checkpoint, device="cpu")
    assert segmenter.clicks == "refine"
    assert load(checkpoint)[1].prompts == InsideOutsidePoints(relax=12)
    segmenter.set_image(tmp_path / "set" / "images" / "0.png")
    assert segmenter.predict([(22, 30), (40, 30)], [1, 0], (10, 18, 34, 42)).shape == (60, 90)

    image_files = [f"weights={checkpoint}", f"input={tmp_path / 'set' / 'images'}", "device=cpu"]
    refusal = run_command("predict.py", *image_files, code=1)
    assert "iog_refine needs image and prompt" in refusal
    assert "set_image and predict" in refusal
    assert not (tmp_path / "predictions").exists()


def test_clicks_asked_of_a_model_without_them_are_refused(run_command: RunCommand) -> None:
    words = ["model=u2netp", "data=synthetic", "metrics.clicks=20", *QUIET]
    refusal = run_command("train.py", *words, code=2)
    assert "metrics.clicks=20: model=u2netp is not guided by clicks" in refusal


def test_numbers_of_clicks_are_asked_for_by_their_key(run_command: RunCommand) -> None:
    words = ["model=u2netp", "data=synthetic", "metrics.test=[mae,noc90]", *QUIET]
    refusal = run_command("train.py", *words, code=2)
    assert "noc90 counts clicks: leave it out and set metrics.clicks=20" in refusal
