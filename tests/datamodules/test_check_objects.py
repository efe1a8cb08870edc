"""Objects are read one by one; what is wrong with some does not hide the others."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.datamodules.check import check_objects
from src.datamodules.images import ImageError
from src.datamodules.instance_sources import Instance
from src.datamodules.pairs import DataError


class Squares:
    """Squares that grow with their number; one may be unreadable, one without a pixel."""

    sets = ("squares",)

    def __init__(self, count: int, unreadable: int | None = None, empty: int | None = None) -> None:
        self.names = [f"square{i}" for i in range(count)]
        self.unreadable, self.empty = unreadable, empty

    def __len__(self) -> int:
        return len(self.names)

    def sample(self, item: int) -> Instance:
        if item == self.unreadable:
            raise ImageError(f"{self.names[item]}.png: damaged")
        mask = np.zeros((100, 200), np.uint8)
        side = 0 if item == self.empty else 10 * (item + 1)
        mask[:side, :side] = 255
        image = np.full((100, 200, 3), 90, np.uint8)
        return Instance(image, mask, np.zeros_like(mask), self.names[item], 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sound_set_is_summed_up_and_drawn(tmp_path: Path, workers: int) -> None:
    report = check_objects({"test/squares": lambda: Squares(3)}, tmp_path, workers)
    assert report["problems"] == report["warnings"] == []
    facts = report["sets"]["test/squares"]
    assert (facts["objects"], facts["expected"]) == (3, None)
    assert facts["megapixels"]["median"] == pytest.approx(0.02)
    assert facts["foreground"] == pytest.approx(
        {"smallest": 0.005, "median": 0.02, "largest": 0.045}
    )
    assert sum(facts["foreground_histogram"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["test-squares.png"]
    assert cv2.imread(str(tmp_path / "test-squares.png")).shape == (192, 3 * 192, 3)


def test_bad_objects_are_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    report = check_objects({"train": lambda: Squares(5, unreadable=1, empty=3)}, tmp_path, 2)
    assert report["problems"] == [
        "train: square1.png: damaged",
        "train: square3: an object without a pixel",
    ]
    assert report["sets"]["train"]["objects"] == 3
    assert cv2.imread(str(tmp_path / "train.png")).shape[1] == 3 * 192


def test_a_set_that_cannot_be_listed_does_not_stop_the_others(tmp_path: Path) -> None:
    def lost() -> Squares:
        raise DataError("COCO", ["no folder a", "no folder b"])

    report = check_objects({"train": lost, "val": lambda: Squares(1)}, tmp_path, 1)
    assert report["problems"] == ["train: no folder a", "train: no folder b"]
    assert list(report["sets"]) == ["val"]


def test_without_a_sound_object_there_is_no_picture(tmp_path: Path) -> None:
    report = check_objects({"train": lambda: Squares(1, empty=0)}, tmp_path, 1)
    assert report["sets"]["train"] == {"objects": 0, "expected": None}
    assert list(tmp_path.iterdir()) == []


def test_a_large_set_is_shown_in_part(tmp_path: Path) -> None:
    check_objects({"train": lambda: Squares(9)}, tmp_path, 1)
    assert cv2.imread(str(tmp_path / "train.png")).shape == (2 * 192, 8 * 192, 3)
