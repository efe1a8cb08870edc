import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from src.metrics import skeleton_cache
from src.metrics.skeleton import skeletonize
from src.metrics.skeleton_cache import SkeletonCache


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.random((9, 11)) < 0.6, np.ones((7, 9), bool))
    return np.where(blocks, 255, 0).astype(np.uint8)


def refuse(truth: np.ndarray) -> np.ndarray:
    raise AssertionError("the skeleton should have come from the cache")


def test_without_a_folder_nothing_is_kept(truth: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(SkeletonCache()(truth), skeletonize(truth))
    assert not list(tmp_path.iterdir())


def test_second_call_reads_the_file(
    truth: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "made" / "by the cache"
    first = SkeletonCache(folder)(truth)
    monkeypatch.setattr(skeleton_cache, "skeletonize", refuse)
    second = SkeletonCache(folder)(np.where(truth > 128, 129, 128).astype(np.uint8))
    np.testing.assert_array_equal(second, first)
    assert second.dtype == np.bool_
    assert len(list(folder.iterdir())) == 1


def test_other_pixels_or_another_shape_have_their_own_file(
    truth: np.ndarray, tmp_path: Path
) -> None:
    cache = SkeletonCache(tmp_path)
    changed = truth.copy()
    changed[30, 40] ^= 255
    solid, reshaped = np.full((8, 16), 255, np.uint8), np.full((16, 8), 255, np.uint8)
    for grey in (truth, changed, solid, reshaped):
        np.testing.assert_array_equal(cache(grey), skeletonize(grey))
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", [b"", b"not a skeleton", None])
def test_a_damaged_file_is_made_anew(
    truth: np.ndarray, tmp_path: Path, damage: bytes | None
) -> None:
    cache = SkeletonCache(tmp_path)
    whole = cache(truth)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    np.testing.assert_array_equal(cache(truth), whole)
    np.testing.assert_array_equal(np.load(path), np.packbits(whole, axis=1))


def test_processes_share_a_folder(truth: np.ndarray, tmp_path: Path) -> None:
    truths = [np.roll(truth, shift, 1) for shift in range(6)] * 4
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        skeletons = pool.map(SkeletonCache(tmp_path), truths, chunksize=1)
    for grey, skeleton in zip(truths, skeletons, strict=True):
        np.testing.assert_array_equal(skeleton, skeletonize(grey))
    assert len(list(tmp_path.iterdir())) == 6
    assert not list(tmp_path.glob("*.part"))
