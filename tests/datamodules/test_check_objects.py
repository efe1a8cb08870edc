"""Objects are read one by one; what is wrong with some does not hide the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from src.datamodules.check import check, inspections_of
from src.datamodules.images import ImageError
from src.datamodules.instance_inspection import InstanceInspection
from src.datamodules.instance_sources import Instance, InstanceSource
from src.datamodules.pairs import DataError
from src.errors import UserError


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


def check_objects(
    output: Path, workers: int, **sets: Callable[[], InstanceSource]
) -> dict[str, Any]:
    """Check sets by their splits."""
    named = [InstanceInspection(split, "squares", make) for split, make in sets.items()]
    return check(named, output, workers)


def squares(*given: Any, **named: Any) -> Callable[[], InstanceSource]:
    return lambda: Squares(*given, **named)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sound_set_is_summed_up_and_drawn(tmp_path: Path, workers: int) -> None:
    report = check_objects(tmp_path, workers, test=squares(3))
    assert report["problems"] == report["warnings"] == []
    facts = report["sets"]["test/squares"]
    assert (facts["objects"], facts["expected"]) == (3, None)
    assert facts["megapixels"]["median"] == pytest.approx(0.02)
    assert facts["foreground"] == pytest.approx(
        {"smallest": 0.005, "median": 0.02, "largest": 0.045}
    )
    assert sum(facts["foreground_histogram"]) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "test-squares.png"}
    assert cv2.imread(str(tmp_path / "test-squares.png")).shape == (192, 3 * 192, 3)


def test_bad_objects_are_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    report = check_objects(tmp_path, 2, train=squares(5, unreadable=1, empty=3))
    assert report["problems"] == [
        "train/squares: square1.png: damaged",
        "train/squares: square3: an object without a pixel",
    ]
    assert report["sets"]["train/squares"]["objects"] == 3
    assert cv2.imread(str(tmp_path / "train-squares.png")).shape[1] == 3 * 192


def test_a_set_that_cannot_be_listed_does_not_stop_the_others(tmp_path: Path) -> None:
    def lost() -> Squares:
        raise DataError("COCO", ["no folder a", "no folder b"])

    report = check_objects(tmp_path, 1, train=lost, val=squares(1))
    assert report["problems"] == ["train/squares: no folder a", "train/squares: no folder b"]
    assert {name: facts["objects"] for name, facts in report["sets"].items()} == {
        "train/squares": 0,
        "val/squares": 1,
    }


def test_without_a_sound_object_there_is_no_picture(tmp_path: Path) -> None:
    report = check_objects(tmp_path, 1, train=squares(1, empty=0))
    assert report["sets"]["train/squares"] == {"objects": 0, "expected": None}
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_large_set_is_shown_in_part(tmp_path: Path) -> None:
    check_objects(tmp_path, 1, train=squares(9))
    assert cv2.imread(str(tmp_path / "train-squares.png")).shape == (2 * 192, 8 * 192, 3)


def test_nothing_to_check() -> None:
    config = OmegaConf.create({"root": ".", "train": None, "val": None, "test": {"a": None}})
    with pytest.raises(UserError, match=r"no set to check: .* or choose another data="):
        inspections_of(config)
