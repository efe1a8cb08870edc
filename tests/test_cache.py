"""What is kept is made once, read from then on, and never believed when it is damaged."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from src import cache as cache_module
from src.cache import CacheFolder, key_of_files


class Maker:
    """Counts how often it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = answers, 0

    def __call__(self) -> Any:
        self.asked += 1
        return self.answers[self.asked - 1]


@pytest.fixture
def cache(tmp_path: Path) -> CacheFolder:
    return CacheFolder(tmp_path / "kept" / "deep", "facts", 3)


def entries(cache: CacheFolder) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize("locked", [True, False])
def test_what_was_made_is_not_made_again(cache: CacheFolder, locked: bool) -> None:
    make = Maker(b"\0content", b"never")
    for _ in range(2):
        assert cache.get_bytes("k", make, locked=locked) == b"\0content"
    assert make.asked == 1
    assert entries(cache) == ["facts-k-v3"]
    assert CacheFolder(cache.folder, "facts", 3).get_bytes("k", make) == b"\0content"


def test_without_a_lock_nothing_but_entries_is_left(cache: CacheFolder) -> None:
    cache.get_bytes("k", Maker(b"one"), locked=False)
    assert [path.name for path in cache.folder.iterdir()] == ["facts-k-v3"]


def test_another_key_kind_or_version_is_another_entry(cache: CacheFolder) -> None:
    make = Maker(b"one", b"two", b"three", b"four")
    folder = cache.folder
    others = [cache, CacheFolder(folder, "other", 3), CacheFolder(folder, "facts", 4)]
    found = [one.get_bytes("k", make) for one in others] + [cache.get_bytes("l", make)]
    assert found == [b"one", b"two", b"three", b"four"]
    assert len(entries(cache)) == 4


def test_plain_values_are_from_the_first_answer_on_as_json_has_them(cache: CacheFolder) -> None:
    find = Maker({1: (2, "ä", None)}, "never")
    for _ in range(2):
        assert cache.get_json("k", find) == {"1": [2, "ä", None]}
    assert find.asked == 1


@pytest.mark.parametrize("nothing", [None, [], {}, 0])
def test_nothing_is_an_answer_too(cache: CacheFolder, nothing: Any) -> None:
    find = Maker(nothing, "again")
    assert [cache.get_json("x", find) for _ in range(2)] == [nothing] * 2


def test_a_failure_is_kept_nowhere(cache: CacheFolder) -> None:
    def fail() -> Any:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        cache.get_json("x", fail)
    with pytest.raises(TypeError):
        cache.get_json("x", Maker({"a": object()}))
    assert entries(cache) == []
    assert cache.get_json("x", Maker(7)) == 7


def test_those_who_ask_at_once_share_one_answer(cache: CacheFolder) -> None:
    find, start = Maker("one", "two"), threading.Barrier(2)

    def ask() -> Any:
        start.wait(20)
        return cache.get_json("x", find)

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask) for _ in range(2)]
        assert [answer.result() for answer in answers] == ["one", "one"]
    assert find.asked == 1


def test_threads_without_a_lock_do_not_meet_in_one_unfinished_file(cache: CacheFolder) -> None:
    start = threading.Barrier(4)

    def make() -> bytes:
        start.wait(20)
        return b"content" * 100_000

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cache.get_bytes, "x", make, locked=False) for _ in range(4)]
        assert {answer.result() for answer in asked} == {b"content" * 100_000}
    assert entries(cache) == ["facts-x-v3"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b'{"a": 1}',
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
        lambda content: content[:40] + bytes([content[40] ^ 8]) + content[41:],
    ],
)
def test_a_damaged_entry_is_made_again_and_said(
    cache: CacheFolder, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    make = Maker(b"a content", b"a content", b"never")
    cache.get_bytes("x", make)
    path = cache.path("x")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    for _ in range(2):
        assert cache.get_bytes("x", make, locked=False) == b"a content"
    assert (make.asked, path.read_bytes()) == (2, whole)
    assert caplog.text.count("facts-x-v3 is damaged: it is made again") == 1


def test_an_entry_in_the_place_of_another_is_made_again(cache: CacheFolder) -> None:
    make = Maker(b"one", b"two", b"two")
    cache.get_bytes("a", make)
    cache.get_bytes("b", make)
    cache.path("b").write_bytes(cache.path("a").read_bytes())
    assert cache.get_bytes("b", make) == b"two"


def test_a_file_longer_than_any_entry_is_not_read_to_its_end(
    cache: CacheFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_MOST", 100)
    make = Maker(b"one", b"two")
    cache.get_bytes("a", make)
    with cache.path("a").open("ab") as file:
        file.truncate(1 << 40)  # a hole: reading all of it would take all memory
    assert cache.get_bytes("a", make) == b"two"


def test_a_file_for_others_is_written_once_and_again_when_it_is_damaged(
    cache: CacheFolder,
) -> None:
    written = []

    def write(path: Path) -> None:
        written.append(path)
        path.write_bytes(b"network")

    for _ in range(2):
        path = cache.get_file("k", ".onnx", write)
        assert path.read_bytes() == b"network"
    assert written == [path]
    assert entries(cache) == ["facts-k-v3", "facts-k-v3.onnx"]
    path.write_bytes(b"netwo")
    assert cache.get_file("k", ".onnx", write).read_bytes() == b"network"
    cache.path("k").unlink()
    cache.get_file("k", ".onnx", write)
    assert len(written) == 3


def test_the_key_of_files_changes_with_whatever_may_change_what_is_made_of_them(
    tmp_path: Path,
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    other.write_text("b")
    os.utime(one, ns=(0, 1_000))
    before = key_of_files([one, other], 1)
    assert key_of_files([one, other], 1) == before
    keys = {before, key_of_files([one, other], "1"), key_of_files([other, one], 1)}
    keys |= {key_of_files([one], 1), key_of_files([one, other], 1, None)}
    os.utime(one, ns=(0, 2_000))
    keys.add(key_of_files([one, other], 1))
    one.write_text("ab")
    os.utime(one, ns=(0, 1_000))
    keys.add(key_of_files([one, other], 1))
    assert len(keys) == 7


def test_a_strict_key_sees_a_file_whose_time_was_set_back(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("a")
    os.utime(path, ns=(0, 1_000))
    keys = key_of_files([path]), key_of_files([path], strict=True)
    (tmp_path / "new").write_text("b")
    (tmp_path / "new").replace(path)
    os.utime(path, ns=(0, 1_000))
    assert key_of_files([path]) == keys[0]
    assert key_of_files([path], strict=True) != keys[1]
