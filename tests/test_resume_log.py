"""Finished work is known again by its key; an entry that was cut short costs no other."""

from pathlib import Path

import pytest

from src.resume_log import ResumeLog, from_line, to_line


def log_with(path: Path, *keys: str) -> ResumeLog:
    log = ResumeLog(path)
    for number, key in enumerate(keys):
        log.add(key, {"number": number})
    return log


def numbers(path: Path) -> dict[str, int]:
    log = ResumeLog(path)
    return {key: entry["number"] for key in "abcd" if (entry := log.get(key)) is not None}


def test_no_file_knows_nothing_and_is_not_made(tmp_path: Path) -> None:
    log = ResumeLog(tmp_path / "none" / "log.jsonl")
    assert (len(log), log.get("a")) == (0, None)
    assert list(tmp_path.iterdir()) == []


def test_what_was_added_is_known_at_once_and_again(tmp_path: Path) -> None:
    path = tmp_path / "made" / "log.jsonl"
    log = ResumeLog(path)
    entries = {"a": {"name": "ärmel\nzwei"}, "b": {"none": None, "list": [1, [2]]}, "c": {}}
    for count, (key, entry) in enumerate(entries.items(), 1):
        log.add(key, entry)
        for known in (log, ResumeLog(path)):
            assert len(known) == count
            assert known.get(key) == {"key": key, **entry}
    assert log.get("d") is None


def test_the_last_entry_of_a_key_counts(tmp_path: Path) -> None:
    log_with(tmp_path / "log", "a", "b", "a")
    assert numbers(tmp_path / "log") == {"a": 2, "b": 1}


@pytest.mark.parametrize("cut", [1, 9, 30, 60])
def test_an_entry_that_was_cut_short_is_missing_and_no_other(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log"
    log_with(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-cut])
    assert numbers(path) == {"a": 0}
    log_with(path, "c")
    assert numbers(path) == {"a": 0, "c": 0}


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xff\xfe", b"{]", b"null", b"\0" * 300, b"[" * 100_000),
        b'{"key": "b", "number": 5}',  # as older versions wrote it
        b'{"checksum": "0123456789abcdef", "entry": {"key": "b", "number": 5}}',
        *(to_line(entry) for entry in ([1, 2], 7, "text", None)),
    ],
)
def test_what_is_no_entry_or_not_its_checksum_is_left_out_and_said(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    log_with(path, "a")
    path.write_bytes(path.read_bytes() + b"\n" + line)
    log_with(path, "c")
    caplog.clear()
    assert numbers(path) == {"a": 0, "c": 0}
    assert caplog.text.count("1 line(s) are cut short, damaged or of an older version") == 1


@pytest.mark.parametrize("entry", [{}, {"key": 7}, {"key": ["a"]}, {"image_id": 1}])
def test_an_entry_without_a_key_is_not_known(tmp_path: Path, entry: dict[str, object]) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\n" + to_line(entry))
    assert len(ResumeLog(path)) == 0
    assert len(log_with(path, "a")) == 1


def test_removing_twice_is_no_mistake(tmp_path: Path) -> None:
    log = log_with(tmp_path / "log", "a")
    log.remove()
    log.remove()
    assert (len(log), list(tmp_path.iterdir())) == (0, [])
    log.add("b", {"number": 3})
    assert numbers(tmp_path / "log") == {"b": 3}


def test_any_flipped_bit_is_noticed() -> None:
    whole = to_line({"key": "a", "values": {"mae": 0.25}})
    assert from_line(whole) == {"key": "a", "values": {"mae": 0.25}}
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match="checksum"):
            from_line(bytes(damaged))
