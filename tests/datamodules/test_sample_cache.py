"""The cache holds the very samples, is made once by whoever comes first, and resumes."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from src.datamodules.images import ImageError
from src.datamodules.pairs import DataError
from src.datamodules.sample_cache import Maps, SampleCache, open_cache
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
    found = [cache[item] for item in range(12)]
    assert None not in found
    return [maps for maps in found if maps is not None]


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
    assert not (tmp_path / "samples-key-v2").exists(), "an unfinished cache must not look finished"

    mended = Samples(tmp_path / "second")
    cache = open_cache(mended, SIZE, "key", "disk", tmp_path)
    assert mended.made() == [3, 8], "what an interrupted build made is not made again"
    assert_equals(cache, mended)


def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("src.datamodules.sample_cache.shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"12 samples of 6×5 take 0.00 GiB .* are free"):
        open_cache(Samples(tmp_path / "tally"), SIZE, "key", "disk", tmp_path)
    assert not (tmp_path / "tally").exists()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no shared memory here")
def test_ram_uses_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.datamodules.sample_cache._SHARED_MEMORY", tmp_path)
    samples = Samples(tmp_path / "tally")
    cache = open_cache(samples, SIZE, "key", "ram", tmp_path / "disk")
    assert not (tmp_path / "disk").exists()
    assert_equals(cache, samples)


@pytest.mark.parametrize("name", ["images", "masks", "done", "checksums"])
def test_a_sample_that_a_disk_has_damaged_is_not_used(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    samples = Samples(tmp_path / "tally")
    cache = open_cache(samples, SIZE, "key", "disk", tmp_path)
    path = cache.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) * 5 // 12] ^= 4  # of sample 5
    path.write_bytes(content)
    again = open_cache(samples, SIZE, "key", "disk", tmp_path)
    assert [item for item in range(12) if again[item] is None] == [5]
    assert samples.made() == list(range(12)), "the sound ones are not made again"
    assert caplog.text.count("sample 5 is damaged") == 1


def test_samples_in_each_others_place_are_not_used(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "tally")
    folder = open_cache(samples, SIZE, "key", "disk", tmp_path).folder
    for path in folder.iterdir():
        content = path.read_bytes()
        half = len(content) // 2
        path.write_bytes(content[half:] + content[:half])
    again = open_cache(samples, SIZE, "key", "disk", tmp_path)
    assert [again[item] for item in range(12)] == [None] * 12


@pytest.mark.parametrize("name", ["images", "masks", "done", "checksums"])
@pytest.mark.parametrize("kept", [None, 0, 3])
def test_a_cache_with_a_short_or_missing_file_is_made_again(
    tmp_path: Path, name: str, kept: int | None
) -> None:
    samples = Samples(tmp_path / "tally")
    path = open_cache(samples, SIZE, "key", "disk", tmp_path).folder / name
    if kept is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:kept])
    again = open_cache(samples, SIZE, "key", "disk", tmp_path)
    assert samples.made() == sorted([*range(12)] * 2)
    assert_equals(again, samples)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users here")
def test_shared_memory_of_someone_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.datamodules.sample_cache._SHARED_MEMORY", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"finecut-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="belongs to someone else"):
        open_cache(Samples(tmp_path / "tally"), SIZE, "key", "ram", tmp_path)
