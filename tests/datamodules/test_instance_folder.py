"""Objects of id maps and of binary masks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.datamodules.instance_sources import InstanceFolder
from src.datamodules.pairs import DataError
from src.datamodules.sources import FolderPair
from tests.golden_data import SHARED, needs_shared

FOLDER = FolderPair("images", "instances")


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(stem: str, labels: np.ndarray) -> None:
        for folder in ("images", "instances"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", labels.shape[::-1]).save(tmp_path / "images" / f"{stem}.jpg")
        Image.fromarray(labels).save(tmp_path / "instances" / f"{stem}.png")

    return write


def labels() -> np.ndarray:
    drawn = np.zeros((12, 16), np.uint8)
    drawn[1:4, 1:5], drawn[6:11, 2:9], drawn[0, 15] = 1, 3, 255
    return drawn


def test_every_id_is_an_object(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    write("b", np.minimum(labels(), 1).astype(np.uint16))
    source = InstanceFolder(tmp_path, FOLDER, void_value=255, cache_dir=tmp_path)
    assert source.names == ["a_1", "a_3", "b_1"]
    instance = source.sample(1)
    assert np.array_equal(instance.mask == 255, labels() == 3)
    assert np.array_equal(instance.void == 255, labels() == 255)
    assert instance.image.shape == (12, 16, 3)


def test_without_a_void_value_every_value_is_an_object(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    source = InstanceFolder(tmp_path, FOLDER, cache_dir=tmp_path)
    assert source.names == ["a_1", "a_3", "a_255"]
    assert not source.sample(0).void.any()
    larger = InstanceFolder(tmp_path, FOLDER, min_area=2, cache_dir=tmp_path)
    assert larger.names == ["a_1", "a_3"]


def test_a_binary_mask_is_one_object_with_grabcuts_void(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mask = np.zeros((12, 16), np.uint8)
    mask[2:9, 3:9], mask[2, 3:9] = 255, 128
    write("cat", mask)
    source = InstanceFolder(tmp_path, FOLDER, "binary", void_value=128, cache_dir=tmp_path)
    assert source.names == ["cat"]
    instance = source.sample(0)
    assert np.array_equal(instance.mask, np.where(mask == 255, 255, 0))
    assert np.array_equal(instance.void, np.where(mask == 128, 255, 0))


def test_several_folders_are_one_set(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    for folder in ("images", "instances"):
        shutil.copytree(tmp_path / folder, tmp_path / "yours" / folder)
    folders = {"mine": FOLDER, "yours": FolderPair("yours/images", "yours/instances", count=1)}
    source = InstanceFolder(tmp_path, folders, "nonzero", "ours", cache_dir=tmp_path)
    assert source.names == ["mine/a", "yours/a"]
    assert source.sets == ("mine", "yours")
    assert np.array_equal(source.sample(1).mask > 0, labels() > 0)
    wrong = {"mine": FolderPair("nowhere", "instances"), "yours": FolderPair("images", "no", 2)}
    with pytest.raises(DataError, match="ours: 2 problems") as caught:
        InstanceFolder(tmp_path, wrong, "nonzero", "ours", cache_dir=tmp_path)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["mine", "yours"]


def test_void_needs_a_kind_that_has_a_value_for_it(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    with pytest.raises(ValueError, match="void_value is for the kinds ids, binary alone"):
        InstanceFolder(tmp_path, FOLDER, "components", void_value=255, cache_dir=tmp_path)


def test_images_not_objects_are_held_out(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for i in range(20):
        write(f"image{i}", labels())
    parts = {
        part: InstanceFolder(tmp_path, FOLDER, part=part, cache_dir=tmp_path)  # type: ignore[arg-type]
        for part in ("train", "held_out", "all")
    }
    images = {part: {record.image for record in s.records} for part, s in parts.items()}
    assert images["held_out"]
    assert not images["train"] & images["held_out"]
    assert images["train"] | images["held_out"] == images["all"]
    assert len(parts["train"]) + len(parts["held_out"]) == len(parts["all"]) == 60


def test_faults_are_named(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    Image.new("RGB", (16, 12)).save(tmp_path / "instances" / "a.png")
    with pytest.raises(DataError, match=r"a\.png: pixels of kind 'RGB' are no labels"):
        InstanceFolder(tmp_path, FOLDER, cache_dir=tmp_path)
    with pytest.raises(ValueError, match="all, train, held_out"):
        InstanceFolder(tmp_path, FOLDER, part="val", cache_dir=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ids, binary"):
        InstanceFolder(tmp_path, FOLDER, kind="soft", cache_dir=tmp_path)  # type: ignore[arg-type]
    write("a", np.zeros((12, 16), np.uint8))
    with pytest.raises(DataError, match="no object"):
        InstanceFolder(tmp_path, FOLDER, cache_dir=tmp_path)


def test_images_without_an_object_are_counted(
    write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    write("b", np.zeros((12, 16), np.uint8))
    for _ in range(2):  # listed, then remembered
        caplog.clear()
        with caplog.at_level("WARNING"):
            source = InstanceFolder(tmp_path, FOLDER, void_value=255, cache_dir=tmp_path)
        assert source.names == ["a_1", "a_3"]
        assert "1 of 2 images have no object to point at" in caplog.text


def test_skipping_leaves_unreadable_maps_out(
    write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # type: ignore[no-untyped-def]
    write("a", labels())
    write("b", labels())
    damaged = tmp_path / "instances" / "b.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    with caplog.at_level("WARNING"):
        source = InstanceFolder(tmp_path, FOLDER, cache_dir=tmp_path, on_error="skip")
    assert {name[0] for name in source.names} == {"a"}
    assert f"skipped {damaged}: " in caplog.text
    with pytest.raises(DataError, match=r"b\.png"):
        InstanceFolder(tmp_path, FOLDER, cache_dir=tmp_path)


@needs_shared
def test_the_pedestrians_of_pennfudan(tmp_path: Path) -> None:
    source = InstanceFolder(SHARED / "data/PennFudan", FOLDER, cache_dir=tmp_path)
    assert len({record.image for record in source.records}) == 130
    assert len(source) > 250
    instance = source.sample(0)
    assert (instance.mask == 255).sum() == source.records[0].area
