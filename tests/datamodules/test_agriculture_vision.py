"""Patterns of Agriculture-Vision as objects; what is outside of field or photo does not count."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from src.datamodules.agriculture_vision import AgricultureVision
from src.datamodules.pairs import DataError
from tests.datamodules.object_layouts import write_agriculture_vision

FIELDS = ("1A2B_0-0-512-512", "3C4D_512-0-1024-512")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_agriculture_vision(tmp_path)
    return tmp_path


def test_each_connected_part_of_a_pattern_is_an_object(root: Path) -> None:
    source = AgricultureVision(root, cache_dir=root / "cache")
    parts = (
        "waterway_1",
        "weed_cluster_1",
        "weed_cluster_2",
    )  # an invalid column divides the weeds
    assert source.names == [f"{field}_{part}" for field in FIELDS for part in parts]
    assert source.sets == ("Agriculture-Vision-val",)
    assert [source.sample(item).category for item in range(3)] == [5, 6, 6]
    left, right = source.sample(1).mask > 0, source.sample(2).mask > 0
    assert left[2:8, 20:30].all()
    assert right[2:8, 31:44].all()
    assert (left.sum(), right.sum()) == (60, 78)


def test_outside_of_boundary_or_valid_mask_nothing_counts(root: Path) -> None:
    instance = AgricultureVision(root, cache_dir=root / "cache").sample(0)
    outside = np.ones((36, 48), bool)
    outside[:20] = False
    outside[:, 30] = True
    assert np.array_equal(instance.void > 0, outside)
    assert instance.mask[4:20, 6:12].all()  # of 26 rows those in the field
    assert (instance.mask > 0).sum() == 96


def test_all_of_a_pattern_may_be_the_object(root: Path) -> None:
    source = AgricultureVision(root, objects="patterns", cache_dir=root / "cache")
    assert source.names[:2] == [f"{FIELDS[0]}_waterway", f"{FIELDS[0]}_weed_cluster"]
    assert (source.sample(1).mask > 0).sum() == 60 + 78


def test_images_are_counted_and_not_their_patterns(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split = root / "Agriculture-Vision/val"
    for path in (split / "labels").glob(f"*/{FIELDS[1]}.png"):
        assert cv2.imwrite(str(path), np.zeros((36, 48), np.uint8))
    with caplog.at_level("INFO"):
        AgricultureVision(root, cache_dir=root / "cache")
    assert "1 of 2 images have no object to point at" in caplog.text
    assert "3 objects in 1 images" in caplog.text


def test_a_change_of_the_boundary_makes_a_new_list(root: Path) -> None:
    before = AgricultureVision(root, cache_dir=root / "cache")
    whole = np.full((36, 48), 255, np.uint8)
    assert cv2.imwrite(str(root / f"Agriculture-Vision/val/boundaries/{FIELDS[0]}.png"), whole)
    after = AgricultureVision(root, cache_dir=root / "cache")
    assert (before.records[0].area, after.records[0].area) == (96, 156)


def test_faults_are_named_once_and_together(root: Path) -> None:
    split = root / "Agriculture-Vision/val"
    boundary = split / f"boundaries/{FIELDS[0]}.png"
    boundary.unlink()
    with pytest.raises(DataError) as caught:
        AgricultureVision(root, cache_dir=root / "cache")
    assert caught.value.problems == [f"no file {boundary}"]  # although six patterns need it
    assert cv2.imwrite(str(boundary), np.full((30, 48), 255, np.uint8))
    with pytest.raises(DataError, match=r"boundaries/1A2B.*: \(30, 48\), but its image"):
        AgricultureVision(root, cache_dir=root / "cache")


def test_a_missing_set_says_where_to_get_it(root: Path) -> None:
    with pytest.raises(DataError, match=r"Get the set from https://github\.com/SHI-Labs"):
        AgricultureVision(root / "nowhere")
    with pytest.raises(DataError, match=r"no folder .*/train/images/rgb .*Get the set"):
        AgricultureVision(root, "train")
    with pytest.raises(ValueError, match="split is 'test'; choose of train, val"):
        AgricultureVision(root, "test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="objects is 'fields'; choose of components, patterns"):
        AgricultureVision(root, objects="fields")  # type: ignore[arg-type]
