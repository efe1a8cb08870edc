"""Objects of DAVIS-585 with the first masks that clicks are to correct."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from src.datamodules.batch import collate
from src.datamodules.clicks import InsideOutsidePoints
from src.datamodules.davis_585 import Davis585
from src.datamodules.instances import InstanceDataset
from src.datamodules.pairs import DataError
from src.processing import Processor
from tests.datamodules.object_layouts import write_davis_585


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_davis_585(tmp_path)
    return tmp_path


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((36, 48), np.uint8)
    mask[rows, columns] = 255
    return mask


def test_each_mask_is_an_object_of_the_frame_that_its_name_ends_with(root: Path) -> None:
    source = Davis585(root, count=2, cache_dir=root / "cache")
    assert source.names == ["bear/object1_00009", "camel/object1_00012"]
    assert source.sets == ("DAVIS-585",)
    instance = source.sample(1)
    assert np.array_equal(instance.mask, box(slice(10, 30), slice(10, 30)))
    assert not instance.void.any()
    frame = cv2.imread(str(root / "DAVIS-585/camel/00012.jpg"))
    assert np.array_equal(instance.image, frame[..., ::-1])


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("sp", box(slice(8, 28), slice(10, 30))),
        ("stm", box(slice(10, 30), slice(12, 32))),
        (None, None),
    ],
)
def test_samples_carry_the_first_mask_that_is_asked_for(
    root: Path, start: str | None, first: np.ndarray | None
) -> None:
    source = Davis585(root, start, cache_dir=root / "cache")  # type: ignore[arg-type]
    dataset = InstanceDataset(source, Processor(size=32), InsideOutsidePoints(), evaluate=True)
    batch = collate([dataset[0], dataset[1]])
    if first is None:
        assert "start_mask_full" not in batch
        return
    assert len(source.files) == 6  # a change of a first mask is noticed as well
    for mask in batch["start_mask_full"]:
        assert torch.equal(mask, torch.from_numpy(first))


def test_training_needs_no_first_mask(root: Path) -> None:
    source = Davis585(root, cache_dir=root / "cache")
    dataset = InstanceDataset(source, Processor(size=32), InsideOutsidePoints())
    assert "start_mask_full" not in dataset[0]


def test_missing_frames_and_first_masks_are_named_together(root: Path) -> None:
    (root / "DAVIS-585/bear/00009.jpg").unlink()
    (root / "DAVIS-585/camel/init_sp_object1_00012.png").unlink()
    with pytest.raises(DataError) as caught:
        Davis585(root, cache_dir=root / "cache")
    assert caught.value.problems == [
        f"no file {root}/DAVIS-585/bear/00009.jpg",
        f"no file {root}/DAVIS-585/camel/init_sp_object1_00012.png",
    ]


def test_a_first_mask_of_another_size_is_named(root: Path) -> None:
    first = root / "DAVIS-585/bear/init_sp_object1_00009.png"
    assert cv2.imwrite(str(first), box(slice(8, 28), slice(10, 30))[:30])
    with pytest.raises(DataError, match=r"init_sp_object1_00009\.png: \(30, 48\), but its mask"):
        Davis585(root, cache_dir=root / "cache")
    assert len(Davis585(root, "stm", cache_dir=root / "cache")) == 2


def test_a_missing_or_incomplete_set_and_an_unknown_start_are_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*/DAVIS-585 .*Get the set from .*ClickSEG"):
        Davis585(root / "nowhere")
    with pytest.raises(DataError, match="2 objects found, 585 expected"):
        Davis585(root, count=585)
    with pytest.raises(ValueError, match="start_mask is 'zero'; choose of sp, stm or null"):
        Davis585(root, "zero")  # type: ignore[arg-type]
