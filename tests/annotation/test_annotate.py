"""`annotate.py`: boxes in, masks out, whatever is wrong with some of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from src.errors import UserError
from src.networks.catalogue import create
from src.networks.weights import to_official
from tests.prediction.tiny import save_picture
from tests.running import ROOT, run

masks = pytest.importorskip("pycocotools.mask")

from src.annotation import door  # noqa: E402  needs pycocotools
from src.annotation.annotate import annotate  # noqa: E402
from src.annotation.boxes import read_boxes  # noqa: E402
from src.annotation.cutting import Cutter, pixel_box  # noqa: E402

# pycocotools' own: numpy 2 wants a keyword that its arrays do not take.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (90, 120)


class BoxFiller:
    """Stands in for a segmenter: the object fills its box; counts what it is asked."""

    name = "box filler"
    clicks: str | None = "inside_outside"

    def __init__(self) -> None:
        self.images = 0

    def set_image(self, image: np.ndarray) -> None:
        self.images += 1
        self.size = image.shape[:2]

    def predict(
        self,
        points: Sequence[tuple[float, float]] = (),
        box: Sequence[int] | None = None,
    ) -> np.ndarray:
        mask = np.zeros(self.size, np.uint8)
        x, y = np.array(points or np.reshape(box, (2, 2))).T  # type: ignore[arg-type]
        mask[y.min() : y.max() + 1, x.min() : x.max() + 1] = 200
        return mask


def write_coco(folder: Path, boxes: Sequence[Sequence[Any]], **more: Any) -> Path:
    """Two pictures; the boxes belong to them in turn. The file has fields beyond COCO's."""
    images = []
    for i in (1, 2):
        save_picture(folder / "images" / f"{i}.jpg", *SIZE)
        images.append({"id": i, "file_name": f"{i}.jpg", "height": SIZE[0], "width": SIZE[1]})
    annotations = [
        {"id": 10 + i, "image_id": 1 + i % 2, "category_id": 7, "bbox": box, "note": "kept"}
        for i, box in enumerate(boxes)
    ]
    content = {"info": {"year": 2026}, "images": images, "annotations": annotations, **more}
    path = folder / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def annotated(folder: Path, segmenter: Any = None, key: str = "", **options: Any) -> Any:
    cutter = Cutter(segmenter or BoxFiller(), **options)
    boxes = read_boxes(folder / "boxes.json")
    return annotate(cutter, boxes, folder / "images", folder / "masks.json", key)


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
    truth = np.zeros(SIZE, np.uint8)
    truth[20:60, 10:40] = 1
    assert np.array_equal(masks.decode(code), truth)
    assert not list(tmp_path.glob("*.partial"))


def test_bad_boxes_are_named_and_the_rest_is_done(tmp_path: Path) -> None:
    bad = [[5, 5, 0, 9], [500, 5, 9, 9], [1, 2, 3], [float("nan"), 1, 2, 3]]
    write_coco(tmp_path, [[10, 20, 30, 40], *bad])
    summary = annotated(tmp_path)
    assert summary.done == 1
    told = str(summary)
    for identity, words in ((11, "no area"), (12, "no pixel"), (13, "bbox"), (14, "finite")):
        assert any(
            f"annotation {identity}: " in line and words in line for line in told.split("\n")
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


def test_a_detectors_list_needs_the_images(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [])
    found = tmp_path / "found.json"
    entries = [
        {"image_id": 2, "category_id": 1, "bbox": [3, 4, 5, 6], "score": score}
        for score in (0.9, 0.2)
    ]
    found.write_text(json.dumps(entries))
    with pytest.raises(UserError, match="image_list=FILE"):
        read_boxes(found)
    boxes = read_boxes(found, image_list=path, min_score=0.5)
    assert boxes.annotations == [{"id": 1, **entries[0]}]
    assert [p.path.name for p in boxes.pictures(tmp_path / "images")] == ["2.jpg"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "not a JSON file"),
        ('{"images": []}', "no list of annotations"),
        ('{"images": [], "annotations": [{"id": 1}]}', "without image_id or bbox"),
        ('{"images": [], "annotations": []}', "no box"),
        ('{"images": [{"id": 1}], "annotations": []}', "without id or file_name"),
        (
            '{"images": [], "annotations": [{"id": 4, "image_id": 1, "bbox": [1, 1, 1, 1]}]}',
            "belong to no image of the file, by their id: 4",
        ),
    ],
)
def test_files_that_cannot_be_meant(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "boxes.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_boxes(tmp_path / "boxes.json")


def test_missing_images_are_named_before_work_starts(tmp_path: Path) -> None:
    boxes = read_boxes(write_coco(tmp_path, [[1, 2, 3, 4], [1, 2, 3, 4]]))
    (tmp_path / "images/2.jpg").unlink()
    with pytest.raises(UserError, match=r"lacks 1 files: 2\.jpg"):
        boxes.pictures(tmp_path / "images")


def test_two_annotations_of_one_id_are_refused(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [[1, 2, 3, 4], [1, 2, 3, 4]])
    path.write_text(path.read_text().replace('"id": 11', '"id": 10'))
    with pytest.raises(UserError, match="same id: 10"):
        read_boxes(path)


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


def test_models_without_clicks_are_refused() -> None:
    segmenter = BoxFiller()
    segmenter.clicks = None
    with pytest.raises(UserError, match="iog, iog_refine or dextr"):
        Cutter(segmenter)  # type: ignore[arg-type]


def test_the_pixels_of_a_box() -> None:
    assert tuple(pixel_box([10, 20, 30, 40], SIZE)) == (10, 20, 39, 59)
    assert tuple(pixel_box([-5.4, 80, 20, 40], SIZE)) == (0, 80, 14, 89)


@pytest.fixture(scope="module")
def iog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random IOG with the smallest backbone, as a checkpoint of ours."""
    torch.manual_seed(0)
    network = create("iog", backbone="resnet18")
    said = {
        "model": "iog",
        "network": {"_target_": "src.networks.iog.IOG", "backbone": "resnet18"},
        "geometry": {"size": [64, 64], "scale": "none", "mean": [0, 0, 0], "std": [1, 1, 1]},
        "inputs": ["image", "prompt"],
    }
    path = tmp_path_factory.mktemp("weights") / "best.ckpt"
    torch.save({"state_dict": to_official(network), "finecut": said}, path)
    return path


@pytest.mark.slow
def test_the_command(tmp_path: Path, iog: Path) -> None:
    """In a new process; every mask decodes, and the exit code says that a box failed."""
    write_coco(tmp_path, [[10, 20, 30, 40], [40, 10, 50, 60], [5, 5, 0, 9]])
    printed = run(
        "annotate.py",
        [
            f"boxes={tmp_path / 'boxes.json'}", f"images={tmp_path / 'images'}",
            f"weights={iog}", f"output={tmp_path / 'out/masks.json'}", "threshold=0.01",
            "device=cpu",
        ],
        tmp_path,
        code=1,
    )  # fmt: skip
    assert "2 done, 0 skipped, 1 failed" in printed
    assert "annotation 12: bbox [5, 5, 0, 9] has no area" in printed
    found = json.loads((tmp_path / "out/masks.json").read_text())["annotations"]
    assert [a["id"] for a in found] == [10, 11]
    assert all(masks.decode(a["segmentation"]).sum() == a["area"] > 0 for a in found)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["images=x", "weights=x", "output=x"], "boxes= is missing"),
        (["boxes=x", "images=x", "weights=x", "output=y", "format=png"], "rle, polygon"),
        (["boxes=x", "images=x", "weights=x", "output=x"], "would replace the boxes"),
        (["boxes=x", "images=x", "weights=x", "output=y"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    overrides: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        cfg = compose("annotate", overrides)
    assert door.run(cfg) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1
