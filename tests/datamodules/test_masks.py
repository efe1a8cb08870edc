"""Masks that nothing can be learnt from are found once, and said why."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.datamodules import file_facts
from src.datamodules.file_facts import ALL_BLACK, mask_fault, mask_faults
from src.datamodules.pairs import ImageMaskPair, index_pairs
from src.datamodules.sources import FolderPair
from tests.datamodules.miniatures import disc, write_set


@pytest.fixture
def pairs(tmp_path: Path) -> list[ImageMaskPair]:
    write_set(tmp_path / "images", tmp_path / "masks", 5)
    return index_pairs(tmp_path, FolderPair("images", "masks"), "a")


def levels(*values: int) -> np.ndarray:
    return np.array([values], np.uint8)


@pytest.mark.parametrize(
    "mask",
    [
        disc(0),
        levels(255, 255, 255),  # all foreground
        levels(0, 0, 0, 128),  # dim, and above the threshold
        levels(0, 255, 30, 200),  # half of it soft: a matte of hair
        levels(25, 25, 25, 230),  # nearly black and white, as JPEG leaves it
    ],
)
def test_masks_to_learn_from(mask: np.ndarray) -> None:
    assert mask_fault(mask) is None


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (levels(0, 0), f"{ALL_BLACK} (data.allow_empty=true accepts such images)"),
        (levels(0, 0, 3), "its brightest value is 3 of 255: a map of object numbers"),
        (levels(0, 127), "its brightest value is 127 of 255"),
        (levels(0, 255, 26, 229, 128), "60% of its pixels are neither black nor white"),
    ],
)
def test_masks_unfit_to_learn_from(mask: np.ndarray, words: str) -> None:
    fault = mask_fault(mask)
    assert fault is not None
    assert fault.startswith(words)


@pytest.mark.parametrize(
    "mask",
    [
        levels(0, 255, 26, 229, 128),  # hair, glass and fur
        levels(0, 100, 60, 32),  # smoke, which is nowhere opaque
        levels(*range(256)),
    ],
)
def test_a_matte_may_be_of_any_gray(mask: np.ndarray) -> None:
    assert mask_fault(mask, soft=True) is None


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (levels(0, 3), "its brightest value is 3 of 255: a map of object numbers"),
        (levels(60, 100, 128), "100% of its pixels are neither black nor white: a photograph"),
        (levels(0, 0), ALL_BLACK),
    ],
)
def test_what_is_no_matte_either(mask: np.ndarray, words: str) -> None:
    assert str(mask_fault(mask, soft=True)).startswith(words)


def test_who_has_mattes_is_told_the_key() -> None:
    assert "data.soft=true" in str(mask_fault(levels(0, 255, 26, 229, 128)))


def test_images_of_nothing_can_be_accepted_and_nothing_else_is() -> None:
    assert mask_fault(levels(0, 0), allow_empty=True) is None
    assert mask_fault(levels(0, 3), allow_empty=True) is not None


def test_faulty_files_are_told_by_their_path(pairs: list[ImageMaskPair], tmp_path: Path) -> None:
    cv2.imwrite(str(pairs[0].mask), np.zeros((36, 48), np.uint8))
    cv2.imwrite(str(pairs[1].mask), np.full((37, 49), 150, np.uint8))
    pairs[2].mask.write_bytes(b"no image")
    faults = mask_faults(pairs, tmp_path / "memory")
    assert {Path(path).name: fault.partition(": ")[2][:25] for path, fault in faults.items()} == {
        "img_000.png": "all black: no foreground ",
        "img_001.png": "100% of its pixels are ne",
        "img_002.png": "not an image, or damaged",
    }
    assert all(fault.startswith(f"{path}: ") for path, fault in faults.items())
    assert len(mask_faults(pairs, tmp_path / "memory", allow_empty=True)) == 2


def test_masks_are_read_once(
    pairs: list[ImageMaskPair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mask_faults(pairs, tmp_path / "memory") == {}
    monkeypatch.setattr(file_facts, "judge_mask", None)
    assert mask_faults(pairs, tmp_path / "memory") == {}


def test_a_mask_that_changed_is_read_again(pairs: list[ImageMaskPair], tmp_path: Path) -> None:
    assert mask_faults(pairs, tmp_path / "memory") == {}
    cv2.imwrite(str(pairs[3].mask), np.zeros((36, 51), np.uint8))
    os.utime(pairs[3].mask, ns=(0, 0))
    assert list(mask_faults(pairs, tmp_path / "memory")) == [str(pairs[3].mask)]


@pytest.mark.parametrize("readers", [0, 1, 9])
def test_any_number_of_readers(pairs: list[ImageMaskPair], tmp_path: Path, readers: int) -> None:
    cv2.imwrite(str(pairs[4].mask), np.zeros((37, 52), np.uint8))
    assert list(mask_faults(pairs, tmp_path / "m", readers=readers)) == [str(pairs[4].mask)]


def test_one_all_black_mask_among_zeros_and_ones(
    pairs: list[ImageMaskPair], tmp_path: Path
) -> None:
    for pair in pairs:
        mask = cv2.imread(str(pair.mask), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(pair.mask), mask // 255 * (pair is not pairs[0]))
    assert mask_faults(pairs, tmp_path / "memory", allow_empty=True) == {}


def test_a_mask_in_another_scale_than_its_set_is_named(
    pairs: list[ImageMaskPair], tmp_path: Path
) -> None:
    mask = cv2.imread(str(pairs[2].mask), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(pairs[2].mask), mask // 255)
    faults = mask_faults(pairs, tmp_path / "memory")
    assert list(faults) == [str(pairs[2].mask)]
    assert "its levels end at 1, those of other masks at 255" in faults[str(pairs[2].mask)]
