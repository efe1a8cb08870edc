"""COCO files and detectors' lists, read whole or refused with what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from src.annotation.boxes import read_boxes
from src.errors import UserError
from tests.annotation.miniature import write_coco

IMAGE = {"id": 1, "file_name": "1.jpg"}


def box(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 1, "bbox": [1, 2, 3, 4], **fields}


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_everything_beside_the_annotations_is_kept(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [[1, 2, 3, 4]], licenses=["x"])
    boxes = read_boxes(path)
    assert boxes.content.keys() == {"info", "images", "licenses"}
    assert [one["id"] for one in boxes.annotations] == [10]
    assert boxes.annotations[0]["note"] == "kept"


def test_pictures_have_their_boxes_and_come_as_the_file_lists_them(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]])
    content = json.loads(path.read_text())
    del content["images"][1]["height"]
    content["images"].reverse()
    second, first = read_boxes(written(path, content)).images(tmp_path / "images")
    assert (first.id, first.path, first.size) == (1, tmp_path / "images" / "1.jpg", (90, 120))
    assert (second.id, second.size) == (2, None)
    assert [one["id"] for one in first.annotations] == [10, 12]
    assert [one["id"] for one in second.annotations] == [11]


def test_images_without_a_box_and_crowds_are_not_asked_for(tmp_path: Path) -> None:
    images = [IMAGE, {"id": 2, "file_name": "gone.jpg"}, {"id": 3, "file_name": "gone too.jpg"}]
    crowd = box(8, image_id=3, iscrowd=1)
    content = {"images": images, "annotations": [box(7), crowd]}
    (tmp_path / "1.jpg").touch()
    boxes = read_boxes(written(tmp_path / "boxes.json", content))
    (image,) = boxes.images(tmp_path)
    assert [one["id"] for one in image.annotations] == [7]
    assert [one["id"] for one in boxes.annotations] == [7, 8]


def test_a_detectors_list_needs_the_images(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [])
    entries = [
        {"image_id": 2, "category_id": 1, "bbox": [3, 4, 5, 6], "score": score}
        for score in (0.9, 0.2)
    ]
    found = written(tmp_path / "found.json", entries)
    with pytest.raises(UserError, match="image_list=FILE"):
        read_boxes(found)
    boxes = read_boxes(found, image_list=path, min_score=0.5)
    assert boxes.annotations == [{"id": 1, **entries[0]}]
    assert [p.path.name for p in boxes.images(tmp_path / "images")] == ["2.jpg"]


def test_a_list_of_images_that_has_none_is_named_itself(tmp_path: Path) -> None:
    found = written(tmp_path / "found.json", [box(1)])
    images = tmp_path / "images.json"
    with pytest.raises(UserError, match=r"images\.json: has no list of images"):
        read_boxes(found, image_list=written(images, {"annotations": []}))
    with pytest.raises(UserError, match=r"images\.json: an image without id or file_name"):
        read_boxes(found, image_list=written(images, {"images": [{"id": 1}]}))


def test_what_has_no_score_is_kept(tmp_path: Path) -> None:
    annotations = [box(1), box(2, score=0.4), box(3, score=0.5)]
    path = written(tmp_path / "boxes.json", {"images": [IMAGE], "annotations": annotations})
    assert [one["id"] for one in read_boxes(path, min_score=0.5).annotations] == [1, 3]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "not a JSON file"),
        ('{"annotations": []}', "no list of images"),
        ('{"images": []}', "no list of annotations"),
        ("7", "no list of annotations"),
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


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"boxes\.json: cannot be read \(No such file"):
        read_boxes(tmp_path / "boxes.json")


def test_an_annotation_of_a_coco_file_needs_an_id(tmp_path: Path) -> None:
    """Without one its mask could not be told from another's."""
    nameless = {"image_id": 1, "bbox": [1, 2, 3, 4]}
    content = {"images": [IMAGE], "annotations": [box(1), nameless]}
    with pytest.raises(UserError, match=r"boxes\.json: an annotation without id: .*'bbox'"):
        read_boxes(written(tmp_path / "boxes.json", content))


def test_missing_images_are_named_before_work_starts(tmp_path: Path) -> None:
    boxes = read_boxes(write_coco(tmp_path, [[1, 2, 3, 4], [1, 2, 3, 4]]))
    (tmp_path / "images/2.jpg").unlink()
    with pytest.raises(UserError, match=r"lacks 1 files: 2\.jpg"):
        boxes.images(tmp_path / "images")


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(12)]
    annotations = [box(i, image_id=i) for i in range(12)]
    content = {"images": images, "annotations": annotations}
    boxes = read_boxes(written(tmp_path / "boxes.json", content))
    with pytest.raises(UserError, match=r"lacks 12 files: 0\.jpg, .*9\.jpg and 2 more$"):
        boxes.images(tmp_path)


def test_two_annotations_of_one_id_are_refused(tmp_path: Path) -> None:
    path = write_coco(tmp_path, [[1, 2, 3, 4], [1, 2, 3, 4]])
    path.write_text(path.read_text().replace('"id": 11', '"id": 10'))
    with pytest.raises(UserError, match="several annotations have the same id: 10"):
        read_boxes(path)


def test_two_images_of_one_id_are_refused(tmp_path: Path) -> None:
    """Each would get the other's boxes."""
    content = {"images": [IMAGE, {**IMAGE, "file_name": "2.jpg"}], "annotations": [box(4)]}
    with pytest.raises(UserError, match="several images have the same id: 1"):
        read_boxes(written(tmp_path / "boxes.json", content))
