"""PASCAL VOC and SBD in miniature, in the layout of the releases."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from src.datamodules import instance_sources
from src.datamodules.pairs import DataError
from src.datamodules.pascal_sbd import PascalInstances, SbdInstances
from tests.golden_data import SHARED, needs_shared

SIZE = (20, 30)


def labels(*boxes: tuple[int, int, int, int, int], void: bool = False) -> np.ndarray:
    """A map of (value, top, bottom, left, right) boxes, the first row void on request."""
    drawn = np.zeros(SIZE, np.uint8)
    for value, top, bottom, left, right in boxes:
        drawn[top:bottom, left:right] = value
    if void:
        drawn[0] = 255
    return drawn


def write_palette(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, mode=None).convert("L")
    image.putpalette(list(range(256)) * 3)
    image.save(path)


def write_photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1], "red").save(path)


def write_list(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_pascal(root: Path) -> None:
    """Two objects an image, VOC's with void, some images in both sets."""
    voc = root / "VOCdevkit" / "VOC2012"
    instances = labels((1, 2, 8, 2, 10), (2, 10, 18, 5, 25), void=True)
    classes = labels((15, 2, 8, 2, 10), (7, 10, 18, 5, 25), void=True)
    for name in ("2007_000001", "2007_000002", "2008_000001"):
        write_photo(voc / "JPEGImages" / f"{name}.jpg")
        write_palette(voc / "SegmentationObject" / f"{name}.png", instances)
        write_palette(voc / "SegmentationClass" / f"{name}.png", classes)
    lists = voc / "ImageSets" / "Segmentation"
    write_list(lists / "train.txt", "2007_000001", "2007_000002")
    write_list(lists / "val.txt", "2008_000001")

    sbd = root / "benchmark_RELEASE" / "dataset"
    for name in ("2007_000002", "2008_000001", "2008_000777", "2008_000778"):
        write_photo(sbd / "img" / f"{name}.jpg")
        found = (
            labels((1, 3, 9, 3, 9))
            if name != "2008_000778"
            else labels((1, 0, 1, 0, 2), (2, 5, 9, 5, 9))
        )
        (sbd / "inst").mkdir(exist_ok=True)
        count = int(found.max())
        content = {"Segmentation": found, "Categories": np.full((count, 1), 4, np.uint8)}
        scipy.io.savemat(sbd / "inst" / f"{name}.mat", {"GTinst": content})
    write_list(sbd / "train.txt", "2007_000002", "2008_000777")
    write_list(sbd / "val.txt", "2008_000001", "2008_000778")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pascal(tmp_path / "sets")
    return tmp_path / "sets"


def test_voc_objects_with_class_and_void(root: Path, tmp_path: Path) -> None:
    source = PascalInstances(root, cache_dir=tmp_path / "cache")

    assert source.names == [f"2007_00000{i}_{k}" for i in (1, 2) for k in (1, 2)]
    assert len(source) == 4
    instance = source.sample(1)
    assert instance.image.shape == (*SIZE, 3)
    assert instance.category == 7
    assert np.array_equal(instance.mask, labels((255, 10, 18, 5, 25)))
    assert np.array_equal(instance.void, labels(void=True))


def test_sbd_adds_what_voc_has_not(root: Path, tmp_path: Path) -> None:
    source = PascalInstances(root, use_sbd=True, cache_dir=tmp_path / "cache")
    added = [name for name in source.names if name.startswith("2008")]
    assert added == ["2008_000777_1", "2008_000778_1", "2008_000778_2"]
    assert len(source) == 7
    instance = source.sample(4)
    assert instance.category == 4
    assert np.array_equal(instance.mask, labels((255, 3, 9, 3, 9)))
    assert not instance.void.any()
    assert not source.sample(3).mask[0].any()  # VOC's own annotation of 2007_000002


def test_validation_is_voc_alone(root: Path, tmp_path: Path) -> None:
    source = PascalInstances(root, "val", cache_dir=tmp_path / "cache")
    assert source.names == ["2008_000001_1", "2008_000001_2"]
    with pytest.raises(ValueError, match="needs the split train"):
        PascalInstances(root, "val", use_sbd=True)
    with pytest.raises(ValueError, match="train, val, trainval"):
        PascalInstances(root, "test")  # type: ignore[arg-type]


def test_small_objects_are_left_out_and_counted(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        source = PascalInstances(root, use_sbd=True, min_area=10, cache_dir=tmp_path / "cache")
    assert "2008_000778_1" not in source.names
    assert "1 objects left out, smaller than 10 pixels" in caplog.text
    with pytest.raises(DataError, match="no object of at least 1000 pixels among 7"):
        PascalInstances(root, use_sbd=True, min_area=1000, cache_dir=tmp_path / "cache")


def test_objects_are_listed_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = PascalInstances(root, use_sbd=True, cache_dir=cache)
    with monkeypatch.context() as patch:
        patch.setattr(instance_sources, "_find_all", lambda *_: pytest.fail("read again"))
        again = PascalInstances(root, use_sbd=True, cache_dir=cache)
    assert again.records == first.records
    assert not list(cache.glob("*.partial"))

    changed = root / "VOCdevkit/VOC2012/SegmentationObject/2007_000001.png"
    write_palette(changed, labels((1, 2, 8, 2, 10)))
    assert len(PascalInstances(root, use_sbd=True, cache_dir=cache)) == len(first) - 1


def test_faults_are_named_all_at_once(root: Path, tmp_path: Path) -> None:
    voc, sbd = root / "VOCdevkit/VOC2012", root / "benchmark_RELEASE/dataset"
    (sbd / "inst/2008_000777.mat").write_bytes(b"no mat")
    write_palette(voc / "SegmentationObject/2007_000001.png", np.ones((3, 4), np.uint8))
    with pytest.raises(DataError, match="2 problems") as caught:
        PascalInstances(root, use_sbd=True, cache_dir=tmp_path / "cache")
    assert "2008_000777.mat: not an annotation of SBD" in str(caught.value)
    assert "2007_000001.png: (3, 4), but" in str(caught.value)

    (voc / "JPEGImages/2007_000001.jpg").unlink()
    (voc / "SegmentationObject/2007_000002.png").unlink()
    with pytest.raises(DataError, match="2 problems"):
        PascalInstances(root, cache_dir=tmp_path / "cache")


def test_a_missing_set_says_where_to_get_it(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "benchmark_RELEASE")
    with pytest.raises(DataError, match=r"benchmark_RELEASE.*Get SBD"):
        PascalInstances(root, use_sbd=True, cache_dir=tmp_path / "cache")
    with pytest.raises(DataError, match="VOCtrainval_11-May-2012"):
        PascalInstances(tmp_path / "nowhere")


def test_an_object_without_a_category_is_named(root: Path, tmp_path: Path) -> None:
    annotation = root / "benchmark_RELEASE" / "dataset" / "inst" / "2008_000777.mat"
    content = {"Segmentation": labels((2, 3, 9, 3, 9)), "Categories": np.ones((1, 1), np.uint8)}
    scipy.io.savemat(annotation, {"GTinst": content})
    with pytest.raises(DataError, match=r"2008_000777\.mat: objects \[2\] have no category"):
        PascalInstances(root, use_sbd=True, cache_dir=tmp_path)


def test_sbds_own_lists_have_images_of_voc_val(root: Path, tmp_path: Path) -> None:
    source = SbdInstances(root, cache_dir=tmp_path / "cache")
    assert source.names == ["2008_000001_1", "2008_000778_1", "2008_000778_2"]
    assert source.sets == ("SBD-val",)
    instance = source.sample(2)
    assert instance.category == 4
    assert np.array_equal(instance.mask, labels((255, 5, 9, 5, 9)))
    assert not instance.void.any()
    trained = SbdInstances(root, "train", cache_dir=tmp_path / "cache")
    assert trained.names == ["2007_000002_1", "2008_000777_1"]
    with pytest.raises(ValueError, match="train, val"):
        SbdInstances(root, "trainval")  # type: ignore[arg-type]


def test_objects_that_hardly_fill_their_box_can_be_left_out(root: Path, tmp_path: Path) -> None:
    cross = labels((1, 10, 11, 0, 30), (1, 0, 20, 15, 16), (2, 2, 6, 2, 6))
    content = {"Segmentation": cross, "Categories": np.full((2, 1), 4, np.uint8)}
    place = root / "benchmark_RELEASE/dataset/inst/2008_000777.mat"
    scipy.io.savemat(place, {"GTinst": content})

    def names(**limit: float) -> list[str]:
        return SbdInstances(root, "train", **limit, cache_dir=tmp_path / "cache").names  # type: ignore[arg-type]

    assert names() == ["2007_000002_1", "2008_000777_1", "2008_000777_2"]
    assert names(min_fill=0.08) == names()  # 49 of 600 pixels, .082
    assert names(min_fill=0.09) == ["2007_000002_1", "2008_000777_2"]
    with pytest.raises(ValueError, match="min_fill is 8"):
        names(min_fill=8)


def test_wrong_counts_of_sbd_are_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 images found, 2857 expected"):
        SbdInstances(root, image_count=2857, cache_dir=tmp_path / "cache")
    with pytest.raises(
        DataError, match=r"3 objects found, 6671 expected .*set's object_count to 3"
    ):
        SbdInstances(root, image_count=2, object_count=6671, cache_dir=tmp_path / "cache")


@needs_shared
def test_a_real_sample_of_voc(tmp_path: Path) -> None:
    voc, name = tmp_path / "VOC2012", "2007_000063"
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        (voc / folder).mkdir(parents=True)
    shutil.copyfile(SHARED / f"data/VOC-one/images/{name}.jpg", voc / f"JPEGImages/{name}.jpg")
    for folder in ("SegmentationObject", "SegmentationClass"):  # its classes are not here
        shutil.copyfile(SHARED / f"data/VOC-one/masks/{name}.png", voc / folder / f"{name}.png")
    write_list(voc / "ImageSets/Segmentation/train.txt", name)

    source = PascalInstances(tmp_path, cache_dir=tmp_path / "cache")

    assert [record.area for record in source.records] == [27632, 78930]
    instance = source.sample(0)
    assert instance.image.shape == (375, 500, 3)
    assert (instance.mask == 255).sum() == 27632
    assert (instance.void == 255).sum() == 8714
