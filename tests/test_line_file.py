"""Lines of JSON: each is there when it was written, and a cut one costs no other."""

from pathlib import Path

import pytest

from src.line_file import append_line, read_lines


def test_lines_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    entries = [{"id": 1, "name": "ärmel\nzwei"}, {"id": None}, {}]
    for count, entry in enumerate(entries, 1):
        append_line(path, entry)
        assert read_lines(path) == entries[:count]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none.jsonl") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", range(1, 10))
def test_a_line_cut_anywhere_is_left_out_and_the_next_is_whole(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    append_line(path, {"id": 1})
    whole = path.read_bytes()
    path.write_bytes(whole + b'\n{"id": 2}'[:kept])
    append_line(path, {"id": 3})
    assert read_lines(path) == [{"id": 1}, {"id": 3}]


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[1, 2]", b"7", b'"text"', b"null", b"{]"])
def test_what_is_no_object_is_left_out(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"id": 1}\n' + line + b'\n{"id": 2}')
    assert read_lines(path) == [{"id": 1}, {"id": 2}]
