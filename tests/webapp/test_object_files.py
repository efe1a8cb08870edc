"""Objects as other tools read them."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from src.webapp.object_files import MOST, coco, label_map, palette_png, voc_colors

# pycocotools 2.0 meets numpy 2; mended on its side.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def squares() -> dict[int, np.ndarray]:
    one, two, nothing = (np.zeros((6, 8), np.uint8) for _ in range(3))
    one[0:4, 0:4] = 255
    two[2:6, 2:6] = 128
    two[0, 7] = 127  # soft, and nearer to background
    return {1: one, 2: two, 7: nothing}


def test_colours_are_those_of_the_released_label_maps() -> None:
    """PASCAL VOC: aeroplane, bicycle, person, void."""
    colors = voc_colors()
    assert colors[[0, 1, 2, 15, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [224, 224, 192],
    ]
    assert len({tuple(color) for color in colors[: MOST + 1].tolist()}) == MOST + 1


def test_the_later_object_lies_on_top() -> None:
    labels = label_map(squares().items(), (6, 8))
    assert labels[0, 0] == 1
    assert labels[3, 3] == 2
    assert labels[0, 7] == 0
    assert set(np.unique(labels)) == {0, 1, 2}


def test_a_palette_png_holds_numbers_and_shows_colours() -> None:
    with Image.open(BytesIO(palette_png(squares().items(), (6, 8)))) as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), label_map(squares().items(), (6, 8)))
        assert image.convert("RGB").getpixel((5, 5)) == (0, 128, 0)


def test_coco_keeps_what_overlaps_and_leaves_out_what_has_no_pixel() -> None:
    masks = squares()
    content = coco(masks.items(), (6, 8), "photo.jpg")
    assert content["images"] == [{"id": 1, "file_name": "photo.jpg", "height": 6, "width": 8}]
    assert [one["id"] for one in content["annotations"]] == [1, 2]
    for one in content["annotations"]:
        assert np.array_equal(coco_masks.decode(one["segmentation"]), masks[one["id"]] >= 128)
        assert one["area"] == 16
        assert one["iscrowd"] == 0
        assert one["category_id"] == content["categories"][0]["id"]
    assert content["annotations"][1]["bbox"] == [2, 2, 4, 4]
