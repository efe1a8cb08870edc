"""The cache holds the very samples, is made once by whoever comes first, and resumes."""

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from src.datamodules.cache import Maps, SampleCache, open_cache
from src.datamodules.images import ImageError
from src.datamodules.pairs import DataError
from src.errors import UserError

SIZE = (6, 5)


class Samples:
    """Samples whose making is counted in a file, which other processes can see."""

    def __init__(self, tally: Path, faulty: tuple[int, ...] = ()) -> None:
        self.tally, self.faulty = tally, faulty

    def __len__(self) -> int:
        return 12

    def resized(self, item: int) -> Maps:
        with self.tally.open("a") as file:
            file.write(f"{item}\n")
        if item in self.faulty:
            raise ImageError(f"img{item}.jpg: damaged")
        rng = np.random.default_rng(item)
        return rng.integers(0, 256, (*SIZE, 3), np.uint8), rng.integers(0, 256, SIZE, np.uint8)

    def made(self) -> list[int]:
        return sorted(map(int, self.tally.read_text().split()))


def read(cache: SampleCache) -> list[Maps]:
    return [cache[item] for item in range(12)]


def assert_equals(cache: SampleCache, samples: Samples) -> None:
    for item, (image, mask) in enumerate(read(cache)):
        expected = samples.resized(item)
        np.testing.assert_array_equal(image, expected[0])
        np.testing.assert_array_equal(mask, expected[1])


def test_holds_the_samples_and_is_made_once(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "tally")
    open_cache(samples, SIZE, "key", "disk", tmp_path)
    again = open_cache(samples, SIZE, "key", "disk", tmp_path)
    assert samples.made() == list(range(12))
    assert_equals(again, samples)


def test_writing_to_a_sample_leaves_the_file_alone(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "tally")
    open_cache(samples, SIZE, "key", "disk", tmp_path)[0][0][:] = 7
    assert_equals(open_cache(samples, SIZE, "key", "disk", tmp_path), samples)


def build(folder: Path) -> None:
    open_cache(Samples(folder / "tally"), SIZE, "key", "disk", folder)


def test_two_processes_make_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=build, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    samples = Samples(tmp_path / "tally")
    assert samples.made() == list(range(12))
    assert_equals(open_cache(samples, SIZE, "key", "disk", tmp_path), samples)


def test_faulty_images_are_listed_and_the_rest_is_kept(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 problems") as error:
        open_cache(Samples(tmp_path / "tally", faulty=(3, 8)), SIZE, "key", "disk", tmp_path)
    assert error.value.problems == ["img3.jpg: damaged", "img8.jpg: damaged"]
    assert not (tmp_path / "samples-key-v1").exists(), "an unfinished cache must not look finished"

    mended = Samples(tmp_path / "second")
    cache = open_cache(mended, SIZE, "key", "disk", tmp_path)
    assert mended.made() == [3, 8], "what an interrupted build made is not made again"
    assert_equals(cache, mended)


def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("src.datamodules.cache.shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"12 samples of 6×5 take 0.00 GiB .* are free"):
        open_cache(Samples(tmp_path / "tally"), SIZE, "key", "disk", tmp_path)
    assert not (tmp_path / "tally").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no shared memory here")
def test_ram_uses_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.datamodules.cache._SHARED_MEMORY", tmp_path)
    samples = Samples(tmp_path / "tally")
    cache = open_cache(samples, SIZE, "key", "ram", tmp_path / "disk")
    assert not (tmp_path / "disk").exists()
    assert_equals(cache, samples)
