"""COCO in miniature: polygons, run-length codes and crowds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.datamodules.coco_instances import CocoInstances
from src.datamodules.images import ImageError
from src.datamodules.pairs import DataError

pytest.importorskip("pycocotools")
# Its compiled part does not know numpy 2's protocol yet; the arrays are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HEIGHT, WIDTH = 20, 30


def annotation(number: int, **fields: Any) -> dict[str, Any]:
    square = [[4, 5, 14, 5, 14, 15, 4, 15]]
    shared = {"id": number, "image_id": 1, "category_id": 18, "iscrowd": 0}
    return {**shared, "segmentation": square, "area": 100.0, **fields}


def write_coco(root: Path, split: str = "train2017") -> None:
    """Objects of every kind on one image, in the layout of the release."""
    (root / split).mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(root / split / "000000000001.jpg")
    write(
        root,
        [
            annotation(10),
            annotation(11, segmentation={"counts": [0, 40, 560], "size": [HEIGHT, WIDTH]}, area=40),
            annotation(12, iscrowd=1),
            annotation(13, segmentation=[[3.1, 3.1, 3.2, 3.1, 3.2, 3.2]], area=0.005),
            annotation(
                14, segmentation=[[0, 0, 2, 0, 2, 2, 0, 2], [8, 8, 12, 8, 12, 12, 8, 12]], area=20
            ),
        ],
        split,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path)
    return tmp_path


def write(root: Path, annotations: list[dict[str, Any]], split: str = "train2017") -> None:
    image = {"id": 1, "file_name": "000000000001.jpg", "height": HEIGHT, "width": WIDTH}
    (root / "annotations").mkdir(exist_ok=True)
    path = root / "annotations" / f"instances_{split}.json"
    path.write_text(json.dumps({"images": [image], "annotations": annotations}))


def test_polygons_and_codes_become_masks(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        source = CocoInstances(root)

    assert source.names == [f"000000000001_{i}" for i in (10, 11, 14)]
    assert "1 crowds and 1 small objects left out" in caplog.text
    square, columns, parts = (source.sample(i) for i in range(3))
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[5:15, 4:14] = 255
    assert np.array_equal(square.mask, expected)
    assert square.category == 18
    assert square.image.shape == (HEIGHT, WIDTH, 3)
    assert not square.void.any()
    assert (columns.mask[:, :2] == 255).all()
    assert columns.mask.astype(bool).sum() == 40
    assert parts.mask[0, 0] == parts.mask[9, 9] == 255


def test_small_objects_can_be_left_out(root: Path) -> None:
    assert CocoInstances(root, min_area=50).names == ["000000000001_10"]
    with pytest.raises(DataError, match="no object of at least 5000"):
        CocoInstances(root, min_area=5000)


def test_what_is_missing_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"looked for .*instances_val2017.json(.|\n)*annotations"):
        CocoInstances(root, "val2017")


def test_an_image_of_another_size_is_refused(root: Path) -> None:
    Image.new("RGB", (WIDTH, 7)).save(root / "train2017" / "000000000001.jpg")
    with pytest.raises(ImageError, match=r"\(7, 30\), annotated as \(20, 30\)"):
        CocoInstances(root).sample(0)


def test_objects_without_a_pixel_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    beside = [[40, 5, 60, 5, 60, 15, 40, 15]]
    write(
        root,
        [
            annotation(20, bbox=[4, 5, 10, 10]),
            annotation(21, segmentation=[], bbox=[4, 5, 10, 10], area=0),
            annotation(22, segmentation=[[4, 5, 4, 15, 4, 10]], bbox=[4, 5, 0, 10], area=99),
            annotation(23, segmentation=beside, bbox=[40, 5, 20, 10], area=200),
        ],
    )
    with caplog.at_level("WARNING"):
        assert CocoInstances(root).names == ["000000000001_20"]
    assert "2 small objects left out" in caplog.text
    assert "1 annotations without an outline left out" in caplog.text


def test_an_object_without_its_image_is_named(root: Path) -> None:
    write(root, [annotation(30), annotation(31, image_id=7)])
    with pytest.raises(DataError, match="annotation 31: is on image 7, which is not listed"):
        CocoInstances(root)
