import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from src.metrics import SkeletonCache, _skeleton_cache
from src.metrics.kernels.skeleton import skeletonize


@pytest.fixture
def target() -> np.ndarray:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.random((9, 11)) < 0.6, np.ones((7, 9), bool))
    return np.where(blocks, 255, 0).astype(np.uint8)


def refuse(target: np.ndarray) -> np.ndarray:
    raise AssertionError("the skeleton should have come from the cache")


def test_without_a_folder_nothing_is_kept(target: np.ndarray, tmp_path: Path) -> None:
    np.testing.assert_array_equal(SkeletonCache()(target), skeletonize(target))
    assert not list(tmp_path.iterdir())


def test_second_call_reads_the_file(
    target: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "made" / "by the cache"
    first = SkeletonCache(folder)(target)
    monkeypatch.setattr(_skeleton_cache, "skeletonize", refuse)
    second = SkeletonCache(folder)(np.where(target > 128, 129, 128).astype(np.uint8))
    np.testing.assert_array_equal(second, first)
    assert second.dtype == np.bool_
    assert len(list(folder.iterdir())) == 1


def test_other_pixels_or_another_shape_have_their_own_file(
    target: np.ndarray, tmp_path: Path
) -> None:
    cache = SkeletonCache(tmp_path)
    changed = target.copy()
    changed[30, 40] ^= 255
    solid, reshaped = np.full((8, 16), 255, np.uint8), np.full((16, 8), 255, np.uint8)
    for gray in (target, changed, solid, reshaped):
        np.testing.assert_array_equal(cache(gray), skeletonize(gray))
    assert len(list(tmp_path.iterdir())) == 4


def _flipped(content: bytes) -> bytes:
    return content[:60] + bytes([content[60] ^ 8]) + content[61:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"not a skeleton",
        lambda content: content[:-40],
        lambda content: bytes(len(content)),
        lambda content: content + b"\0",
        _flipped,
    ],
)
def test_a_damaged_file_is_made_anew(
    target: np.ndarray, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    cache = SkeletonCache(tmp_path)
    whole = cache(target)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(damage(content))
    np.testing.assert_array_equal(cache(target), whole)
    assert path.read_bytes() == content


def test_the_file_of_another_truth_is_made_anew(target: np.ndarray, tmp_path: Path) -> None:
    cache = SkeletonCache(tmp_path)
    cache(target)
    (path,) = tmp_path.iterdir()
    other = np.roll(target, 5, 0)
    cache(other)
    (of_other,) = set(tmp_path.iterdir()) - {path}
    of_other.write_bytes(path.read_bytes())
    np.testing.assert_array_equal(cache(other), skeletonize(other))


def test_processes_share_a_folder(target: np.ndarray, tmp_path: Path) -> None:
    targets = [np.roll(target, shift, 1) for shift in range(6)] * 4
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        skeletons = pool.map(SkeletonCache(tmp_path), targets, chunksize=1)
    for gray, skeleton in zip(targets, skeletons, strict=True):
        np.testing.assert_array_equal(skeleton, skeletonize(gray))
    assert len(list(tmp_path.iterdir())) == 6
    assert not list(tmp_path.glob("*.part"))
