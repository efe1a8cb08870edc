"""Lines of JSON: each is there when it was written, and a cut one costs no other."""

from pathlib import Path

import pytest

from src.jsonl import append_jsonl, from_line, read_jsonl, to_line


def test_lines_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    entries = [{"id": 1, "name": "ärmel\nzwei"}, {"id": None}, {}]
    for count, entry in enumerate(entries, 1):
        append_jsonl(path, entry)
        assert read_jsonl(path) == entries[:count]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_jsonl(tmp_path / "none.jsonl") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", range(1, 10))
def test_a_line_cut_anywhere_is_left_out_and_the_next_is_whole(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "journal.jsonl"
    append_jsonl(path, {"id": 1})
    whole = path.read_bytes()
    path.write_bytes(whole + b'\n{"id": 2}'[:kept])
    append_jsonl(path, {"id": 3})
    assert read_jsonl(path) == [{"id": 1}, {"id": 3}]


@pytest.mark.parametrize(
    "line",
    [
        *(b"\xff\xfe", b"{]", b"null", b"\0" * 300, b"[" * 100_000),
        b'{"id": 5}',  # as older versions wrote it
        b'{"checksum": "0123456789abcdef", "entry": {"id": 5}}',
        *(to_line(entry) for entry in ([1, 2], 7, "text", None)),
    ],
)
def test_what_is_no_object_or_not_its_checksum_is_left_out_and_said(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.jsonl"
    append_jsonl(path, {"id": 1})
    path.write_bytes(path.read_bytes() + b"\n" + line)
    append_jsonl(path, {"id": 2})
    assert read_jsonl(path) == [{"id": 1}, {"id": 2}]
    assert "1 line(s) are cut short, damaged or of an older version" in caplog.text


def test_any_flipped_bit_is_noticed() -> None:
    whole = to_line({"id": 12, "values": {"mae": 0.25}})
    assert from_line(whole) == {"id": 12, "values": {"mae": 0.25}}
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(ValueError, match="checksum"):
            from_line(bytes(damaged))
