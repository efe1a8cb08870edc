"""Findings are made once and read from then on."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from src.datamodules.file_facts import cached_json


class Finder:
    """Counts how often it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = answers, 0

    def __call__(self) -> Any:
        self.asked += 1
        return self.answers[self.asked - 1]


def test_what_was_found_is_not_looked_for_again(tmp_path: Path) -> None:
    find = Finder({"a": [1, None, "ä"]}, "never")
    folder = tmp_path / "cache" / "deep"
    first = cached_json(folder, "masks-1", find)
    assert cached_json(folder, "masks-1", find) == first == {"a": [1, None, "ä"]}
    assert find.asked == 1


def test_the_first_answer_is_what_later_ones_will_be(tmp_path: Path) -> None:
    """Tuples become lists and keys strings at once, not only when they are read again."""
    assert cached_json(tmp_path, "x", Finder({1: (2, 3)})) == {"1": [2, 3]}


def test_another_name_is_another_finding(tmp_path: Path) -> None:
    find = Finder("one", "two")
    assert [cached_json(tmp_path, name, find) for name in ("a", "b", "a")] == ["one", "two", "one"]


@pytest.mark.parametrize("nothing", [None, [], {}, 0])
def test_nothing_is_a_finding_too(tmp_path: Path, nothing: Any) -> None:
    find = Finder(nothing, "again")
    assert [cached_json(tmp_path, "x", find) for _ in range(2)] == [nothing] * 2


def test_a_failure_is_not_remembered(tmp_path: Path) -> None:
    def fail() -> Any:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        cached_json(tmp_path, "x", fail)
    assert not (tmp_path / "x.json").exists()
    assert cached_json(tmp_path, "x", Finder(7)) == 7


def test_what_json_cannot_hold_leaves_no_half_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        cached_json(tmp_path, "x", Finder({"a": object()}))
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_those_who_ask_at_once_share_one_finding(tmp_path: Path) -> None:
    find, start = Finder("one", "two"), threading.Barrier(2)

    def ask() -> Any:
        start.wait(20)
        return cached_json(tmp_path, "x", find)

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask) for _ in range(2)]
        assert [answer.result() for answer in answers] == ["one", "one"]
    assert find.asked == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"a": 1}',
        b"[" * 100_000,
        b"\0" * 100,
        b'{"checksum": "0123456789abcdef", "entry": 7}',
    ],
)
def test_a_damaged_or_older_file_is_found_again(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    find = Finder({"a": 2}, "never")
    (tmp_path / "x.json").write_bytes(content)
    assert cached_json(tmp_path, "x", find) == {"a": 2}
    assert "x.json is damaged or of an older version" in caplog.text
    assert cached_json(tmp_path, "x", find) == {"a": 2}
    assert find.asked == 1
