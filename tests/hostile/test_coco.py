"""Malformed COCO files: named by the annotation's id or counted, never drawn wrong."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.annotation.boxes import read_boxes
from src.datamodules.coco_format import read_outline
from src.datamodules.coco_instances import CocoInstances
from src.datamodules.label_maps import read_labels
from src.datamodules.pairs import DataError
from src.errors import UserError
from tests.datamodules.test_coco_instances import HEIGHT, WIDTH, annotation

masks = pytest.importorskip("pycocotools.mask")
# Its compiled part does not know numpy 2's protocol yet; the arrays are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SQUARE = [4, 5, 14, 5, 14, 15, 4, 15]
SIZE = [HEIGHT, WIDTH]


def coded(mask: np.ndarray) -> str:
    text: str = masks.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")
    return text


def some_mask(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) > 0.6


CODE = coded(some_mask())


def files(root: Path, entries: list[Any], image: dict[str, Any] | None = None) -> Path:
    """A set in the release's layout of one image and one sound annotation, 1, beside `entries`."""
    (root / "train2017/sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(root / "train2017" / name)
    images = [{"id": 1, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH, **(image or {})}]
    content = {
        "images": images,
        "annotations": [annotation(1), *entries],
        "categories": [{"id": 18, "name": "dog"}],
    }
    (root / "annotations").mkdir()
    path = root / "annotations/instances_train2017.json"
    path.write_text(json.dumps(content))
    return path


def rle(counts: Any, size: Any = SIZE) -> dict[str, Any]:
    return {"segmentation": {"counts": counts, "size": size}}


NAMED: dict[str, dict[str, Any]] = {
    "runs too long": rle([0, 40, 600]),
    "runs too short": rle([0, 40]),
    "no runs": rle([]),
    "negative run": rle([0, -40, 640]),
    "huge runs": rle([2**40, 40]),
    "runs of text": rle(["0", "40", "560"]),
    "runs of fractions": rle([0.5, 599.5]),
    "runs of target": rle([False, True, 599]),
    "counts null": rle(None),
    "code cut": rle(CODE[:-6]),
    "code cut within a run": rle(CODE + "P"),
    "code empty": rle(""),
    "code with a space": rle(CODE[:5] + " " + CODE[6:]),
    "code beyond ASCII": rle(CODE[:5] + "é" + CODE[6:]),
    "code that never ends": rle("o" * 40),
    "code with negative runs": rle("O" + CODE),
    "code overflowing": rle("oooooo?" + CODE),
    "size turned": rle(CODE, [WIDTH, HEIGHT]),
    "size null": rle(CODE, None),
    "size of text": rle(CODE, "20x30"),
    "size of one": rle(CODE, [600]),
    "no counts": {"segmentation": {"size": SIZE}},
    "code in a list": {"segmentation": [{"counts": CODE, "size": SIZE}]},
    "odd polygon": {"segmentation": [[*SQUARE, 3]]},
    "two points": {"segmentation": [[4, 5, 14, 15]]},
    "a box": {"segmentation": [[4, 5, 10, 10], SQUARE]},
    "one empty polygon": {"segmentation": [[]]},
    "flat list": {"segmentation": SQUARE},
    "nested too deep": {"segmentation": [[[4, 5], [14, 5], [14, 15]]]},
    "text in a polygon": {"segmentation": [["4", 5, 14, 5, 14, 15]]},
    "null in a polygon": {"segmentation": [[None, 5, 14, 5, 14, 15]]},
    "infinity in a polygon": {"segmentation": [[math.inf, 5, 14, 5, 14, 15]]},
    "far outside": {"segmentation": [[4, 5, 1e9, 5, 14, 15]]},
    "huge number": {"segmentation": [[4, 5, 10**400, 5, 14, 15]]},
    "text": {"segmentation": "M4 5 L14 5"},
    "number": {"segmentation": 7},
    "category null": {"category_id": None},
    "category of text": {"category_id": "dog"},
    "category of a list": {"category_id": [18]},
    "category unknown": {"category_id": 99},
    "image null": {"image_id": None},
    "image unknown": {"image_id": 9},
    "image of a list": {"image_id": [1]},
    "crowd of text": {"iscrowd": "0"},
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_malformed_annotation_is_named_by_its_id(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = files(tmp_path, [annotation(77, **NAMED[kind])])
    if kind == "infinity in a polygon":  # as a number: JSON's Infinity is refused before
        path.write_text(path.read_text().replace("Infinity", "1e999"))
    with pytest.raises(DataError, match="annotation 77: "):
        CocoInstances(tmp_path)
    assert CocoInstances(tmp_path, on_error="skip").names == ["a_1"]
    assert "annotation 77: " in caplog.text


@pytest.mark.parametrize("identity", [None, True, [1], {}, 1.5, "", 1, "1"])
def test_an_id_that_tells_nothing_apart_is_named(identity: Any, tmp_path: Path) -> None:
    files(tmp_path, [annotation(77, id=identity)])
    with pytest.raises(DataError, match=r"annotation (number 2|1): .*id"):
        CocoInstances(tmp_path)


@pytest.mark.parametrize("entry", [None, 7, [], "x"])
def test_what_is_no_annotation_is_named_by_its_place(entry: Any, tmp_path: Path) -> None:
    files(tmp_path, [entry])
    with pytest.raises(DataError, match="annotation number 2: is not an object"):
        CocoInstances(tmp_path)


@pytest.mark.parametrize("segmentation", [None, [], {}, "absent"])
def test_annotations_without_an_outline_are_counted(
    segmentation: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = annotation(77, segmentation=segmentation, keypoints=[1, 2, 2], num_keypoints=1)
    if segmentation == "absent":
        del entry["segmentation"]
    files(tmp_path, [entry])
    assert CocoInstances(tmp_path).names == ["a_1"]
    assert "1 annotations without an outline left out" in caplog.text


@pytest.mark.parametrize("area", [None, "100", -5, True, [], "absent"])
def test_an_area_that_is_none_comes_from_the_mask(area: Any, tmp_path: Path) -> None:
    entry = annotation(77, area=area, bbox=None)
    if area == "absent":
        del entry["area"]
    files(tmp_path, [entry])
    source = CocoInstances(tmp_path, min_area=100)
    assert source.names == ["a_1", "a_77"]
    assert np.count_nonzero(source.sample(1).mask) == 100


@pytest.mark.parametrize("fields", [{"area": 900}, {"area": 41, **rle([0, 40, 560])}])
def test_an_area_of_another_shape_is_warned_of(
    fields: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files(tmp_path, [annotation(77, **fields)])
    assert len(CocoInstances(tmp_path)) == 2
    assert "the area of 1 annotations is not their outline's" in caplog.text
    assert caplog.text.rstrip().endswith(": 77")


@pytest.mark.parametrize(
    "image",
    [
        {"id": None},
        {"id": [1]},
        {"file_name": None},
        {"file_name": 7},
        {"file_name": "gone.jpg"},
        {"file_name": "../a.jpg"},
        {"file_name": "..\\..\\a.jpg"},
        {"file_name": "/etc/passwd"},
        {"file_name": "a\0.jpg"},
        {"file_name": "a" * 5000},
        {"file_name": "\ud800.jpg"},
        {"height": "20"},
        {"height": None},
        {"width": -3},
        {"width": 0},
        {"width": 1e999},
        {"height": 10**6, "width": 10**6},
    ],
)
def test_an_image_that_cannot_be_meant_is_named(image: dict[str, Any], tmp_path: Path) -> None:
    path = files(tmp_path, [], image)
    path.write_text(path.read_text().replace("Infinity", "1e999"))
    with pytest.raises(DataError, match=r"annotation 1: image 1: |image number 1: ") as error:
        CocoInstances(tmp_path)
    str(error.value).encode()  # printable wherever it came from


def test_backslashes_and_missing_sizes_are_read(tmp_path: Path) -> None:
    files(tmp_path, [], {"file_name": "sub\\b.jpg", "height": None, "width": None})
    assert CocoInstances(tmp_path).sample(0).mask.sum() == 100 * 255


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    path = files(tmp_path, [])
    path.write_bytes(path.read_text().encode(encoding))
    assert len(CocoInstances(tmp_path)) == 1


BROKEN: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut": lambda text: text[:-20],
    "a list": lambda text: f"[{text}]",
    "a number": lambda text: "7",
    "NaN": lambda text: text.replace("100.0", "NaN"),
    "Infinity": lambda text: text.replace("100.0", "-Infinity"),
    "too many digits": lambda text: text.replace("100.0", "9" * 5000),
    "nested without end": lambda text: "[" * 200_000,
    "images null": lambda text: text.replace('"images": [', '"images": null, "x": ['),
    "annotations of text": lambda text: text.replace('"annotations"', '"annotation"'),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_by_every_reader(kind: str, tmp_path: Path) -> None:
    path = files(tmp_path, [])
    path.write_text(BROKEN[kind](path.read_text()))
    for read in (lambda: CocoInstances(tmp_path), lambda: read_boxes(path)):
        with pytest.raises(UserError, match=r"instances_train2017\.json"):
            read()


@pytest.mark.parametrize("seed", range(5))
def test_codes_decode_to_pycocotools_pixels(seed: int) -> None:
    mask = some_mask(seed)
    mask[:, : seed * 5] = seed % 2
    outline = read_outline({"counts": coded(mask), "size": SIZE}, (HEIGHT, WIDTH))
    assert np.array_equal(outline.mask(), mask)
    assert outline.area() == mask.sum()


def test_damaged_codes_are_refused_or_sum_to_the_image() -> None:
    """Whatever is in a code, it is refused or of the size of the image."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        text = list(CODE)
        for place in rng.integers(len(text), size=3):
            text[place] = chr(rng.integers(32, 127))
        try:
            outline = read_outline({"counts": "".join(text), "size": SIZE}, (HEIGHT, WIDTH))
        except UserError:
            refused += 1
        else:
            assert outline.mask().shape == (HEIGHT, WIDTH)
    assert refused > 450


@pytest.mark.parametrize(
    ("json_at", "images_at"),
    [
        ("train/_annotations.coco.json", "train"),
        ("_annotations.coco.json", "."),
        ("annotations/instances_default.json", "images"),
        ("annotations/instances_default.json", "images/default"),
        ("annotations/instances_Train.json", "images/Train"),
    ],
)
def test_layouts_of_other_tools_are_found(json_at: str, images_at: str, tmp_path: Path) -> None:
    released, root = tmp_path / "released", tmp_path / "own"
    content = files(released, [], {"file_name": "sub/b.jpg"}).read_text()
    (root / images_at).mkdir(parents=True)
    (released / "train2017/sub").rename(root / images_at / "sub")
    (root / json_at).parent.mkdir(parents=True, exist_ok=True)
    (root / json_at).write_text(content)
    source = CocoInstances(root)
    assert source.names == ["b_1"]
    assert source.sample(0).mask.any()
    assert not source.sets[0].startswith("COCO-")
    with pytest.raises(DataError, match=r"data\.train\.annotations=FILE"):
        CocoInstances(root, "val2017")  # never what it is trained on


def test_any_file_is_read_by_its_path(tmp_path: Path) -> None:
    files(tmp_path, []).rename(tmp_path / "mine.json")
    assert len(CocoInstances(tmp_path, annotations="mine.json", images="train2017")) == 1
    with pytest.raises(DataError, match=r"no folder of images for .*: .*nowhere"):
        CocoInstances(tmp_path, annotations="mine.json", images="nowhere")


@pytest.mark.parametrize(
    "fields", [{"id": [7]}, {"id": None}, {"image_id": {}}, {"image_id": None}, {"score": "high"}]
)
def test_boxes_with_malformed_fields_are_named(fields: dict[str, Any], tmp_path: Path) -> None:
    path = files(tmp_path, [annotation(77, bbox=[1, 2, 3, 4]) | fields])
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = [1, 2, 3, 4]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"annotation .*{next(iter(fields))} is"):
        read_boxes(path)


def test_boxes_of_images_outside_of_the_folder_are_refused(tmp_path: Path) -> None:
    path = files(tmp_path, [], {"file_name": "../train2017/../annotations/x.jpg"})
    path.write_text(path.read_text().replace('"iscrowd"', '"bbox": [1, 2, 3, 4], "iscrowd"'))
    with pytest.raises(UserError, match="lies outside of"):
        read_boxes(path).images(tmp_path / "train2017")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_label_maps_are_refused_whatever_they_are_called(kind: str, tmp_path: Path) -> None:
    Image.fromarray(some_mask().astype(np.uint8)).save(tmp_path / "x.png", kind)
    with pytest.raises(UserError, match=rf"object numbers in {kind}, .*PNG"):
        read_labels(tmp_path / "x.png")
