"""`annotate.py`: boxes in, masks out, whatever is wrong with some of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.annotation.annotate import annotate
from src.annotation.boxes import read_boxes
from src.annotation.segment_boxes import BoxSegmenter
from src.weights.loading import create, to_official
from tests.annotation.miniature import SIZE, BoxFiller, write_coco
from tests.conftest import RunCommand
from tests.inference.tiny import save_picture

masks = pytest.importorskip("pycocotools.mask")

# pycocotools' own: numpy 2 wants a keyword that its arrays do not take.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def annotated(folder: Path, segmenter: Any = None, key: str = "", **options: Any) -> Any:
    box_segmenter = BoxSegmenter(segmenter or BoxFiller(), **options)
    boxes = read_boxes(folder / "boxes.json")
    return annotate(box_segmenter, boxes, folder / "images", folder / "masks.json", key)


@pytest.mark.parametrize("kind", ["rle", "polygon"])
def test_every_box_becomes_a_mask(tmp_path: Path, kind: Any) -> None:
    write_coco(tmp_path, [[10, 20, 30, 40], [0, 0, 120, 90], [100.4, 70.2, 50, 50]])
    summary = annotated(tmp_path, kind=kind)
    assert (summary.done, summary.failures) == (3, [])
    said = json.loads((tmp_path / "masks.json").read_text())
    assert said["info"] == {"year": 2026}
    first, second, third = said["annotations"]
    assert [a["id"] for a in said["annotations"]] == [10, 11, 12]
    assert (first["category_id"], first["note"], first["iscrowd"]) == (7, "kept", 0)
    assert (first["area"], first["bbox"], first["box"]) == (
        1200,
        [10, 20, 30, 40],
        [10, 20, 30, 40],
    )
    assert second["area"] == SIZE[0] * SIZE[1]
    assert third["bbox"] == [100, 70, 20, 20]  # cut at the image's border
    code = first["segmentation"]
    code = masks.merge(masks.frPyObjects(code, *SIZE)) if kind == "polygon" else code
    target = np.zeros(SIZE, np.uint8)
    target[20:60, 10:40] = 1
    assert np.array_equal(masks.decode(code), target)
    assert not list(tmp_path.glob("*.partial"))


def test_bad_boxes_are_named_and_the_rest_is_done(tmp_path: Path) -> None:
    bad = [[5, 5, 0, 9], [500, 5, 9, 9], [1, 2, 3], [float("nan"), 1, 2, 3]]
    write_coco(tmp_path, [[10, 20, 30, 40], *bad])
    summary = annotated(tmp_path)
    assert summary.done == 1
    reason = str(summary)
    for identity, words in ((11, "no area"), (12, "no pixel"), (13, "bbox"), (14, "finite")):
        assert any(
            f"annotation {identity}: " in line and words in line for line in reason.split("\n")
        )
    said = json.loads((tmp_path / "masks.json").read_text())
    assert [a["id"] for a in said["annotations"]] == [10]


def test_an_image_of_another_size_is_not_cut(tmp_path: Path) -> None:
    write_coco(tmp_path, [[10, 20, 30, 40], [10, 20, 30, 40], [1, 1, 5, 5]])
    save_picture(tmp_path / "images/1.jpg", 40, 40)
    summary = annotated(tmp_path)
    assert summary.done == 1
    assert "annotation 10, 12: is (40, 40), but (90, 120)" in str(summary)


def test_finished_images_are_not_done_again(tmp_path: Path) -> None:
    """Also after a kill in the middle of a line; other weights start anew."""
    write_coco(tmp_path, [[10, 20, 30, 40], [5, 5, 0, 9]])
    first = BoxFiller()
    annotated(tmp_path, first, key="a")
    partial = tmp_path / "masks.json.partial"
    with partial.open("a") as file:
        file.write('\n{"image_id": 2, "annota')
    write_coco(tmp_path, [[10, 20, 30, 40], [5, 5, 8, 9]])
    second = BoxFiller()
    assert annotated(tmp_path, second, key="a").done == 2
    assert (first.images, second.images) == (2, 1)
    assert not partial.exists()

    write_coco(tmp_path, [[10, 20, 30, 40], [5, 5, 0, 9]])
    annotated(tmp_path, key="a")
    third = BoxFiller()
    annotated(tmp_path, third, key="b")
    assert third.images == 2


def test_crowds_stay_as_they_are(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [[10, 20, 30, 40]])
    content = json.loads(path.read_text())
    crowd = {"id": 3, "image_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": "as is"}
    path.write_text(json.dumps({**content, "annotations": [crowd, *content["annotations"]]}))
    annotated(tmp_path)
    assert json.loads((tmp_path / "masks.json").read_text())["annotations"][0] == crowd


def test_dextr_takes_extreme_points(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [[1, 2, 3, 4], [1, 2, 3, 4]])
    content = json.loads(path.read_text())
    content["annotations"][0]["extreme_points"] = [[5, 9], [30, 12], [11, 4], [12, 40]]
    path.write_text(json.dumps(content))
    segmenter = BoxFiller()
    segmenter.clicks = "extreme_points"
    summary = annotated(tmp_path, segmenter)
    assert summary.done == 1
    assert "annotation 11: box filler needs extreme_points" in str(summary)
    (found,) = json.loads((tmp_path / "masks.json").read_text())["annotations"]
    assert found["bbox"] == [5, 4, 26, 37]


@pytest.fixture(scope="module")
def iog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random IOG with the smallest backbone, as a checkpoint of ours."""
    torch.manual_seed(0)
    network = create("iog", backbone="resnet18")
    said = {
        "model": "iog",
        "network": {"_target_": "src.networks.iog.IOG", "backbone": "resnet18"},
        "processor": {"size": [64, 64], "scale": "none", "mean": [0, 0, 0], "std": [1, 1, 1]},
        "inputs": ["image", "prompt"],
    }
    path = tmp_path_factory.mktemp("weights") / "best.ckpt"
    torch.save({"state_dict": to_official(network), "finecut": said}, path)
    return path


@pytest.mark.slow
def test_the_command(tmp_path: Path, iog: Path, run_command: RunCommand) -> None:
    """Every mask decodes, and the exit code says that a box failed."""
    write_coco(tmp_path, [[10, 20, 30, 40], [40, 10, 50, 60], [5, 5, 0, 9]])
    printed = run_command(
        "annotate.py", f"boxes={tmp_path / 'boxes.json'}", f"images={tmp_path / 'images'}",
        f"weights={iog}", f"output={tmp_path / 'out/masks.json'}", "threshold=0.01", "device=cpu",
        code=1,
    )  # fmt: skip
    assert "2 done, 0 skipped, 1 failed" in printed
    assert "annotation 12: bbox [5, 5, 0, 9] has no area" in printed
    found = json.loads((tmp_path / "out/masks.json").read_text())["annotations"]
    assert [a["id"] for a in found] == [10, 11]
    assert all(masks.decode(a["segmentation"]).sum() == a["area"] > 0 for a in found)
