"""Files of others are plain values, bounded, or one line that names them."""

from pathlib import Path

import pytest

from src import plain_data
from src.errors import UserError
from src.plain_data import read_csv, read_json, read_yaml


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_yaml_is_read_as_it_stands(tmp_path: Path) -> None:
    text = "a: ${oc.env:HOME}\nb: 1.0e-05\nc: 2026-01-01\n1: [true, null]\n"
    assert read_yaml(written(tmp_path, text), "") == {
        "a": "${oc.env:HOME}",
        "b": 1e-5,
        "c": "2026-01-01",
        "1": [True, None],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x", "refers to parts of itself"),
        ("a: " + "[" * 200, "nested more than 100 deep"),
        ("a: !!python/object/apply:os.system [ls]", "is damaged"),
        ("a: !!timestamp x", "is damaged"),
        ("? [1]\n: 2", "is damaged"),
        ("- 1", "is no YAML mapping"),
        ("", "is no YAML mapping"),
        (b"\xff\xff", "no UTF-8 at byte 0"),
    ],
)
def test_yaml_that_is_more_or_less_than_values_is_refused(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=rf"{path}.*{said}.*; do this"):
        read_yaml(path, "do this")


def test_a_byte_order_mark_is_no_damage(tmp_path: Path) -> None:
    assert read_json(written(tmp_path, b'\xef\xbb\xbf{"a": 1}'), "") == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": 1' + "0" * 5000 + "}"])
def test_damaged_json_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="is damaged"):
        read_json(written(tmp_path, text), "")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_json_may_have_to_be_finite(tmp_path: Path, number: str) -> None:
    path = written(tmp_path, f'{{"a": {number}}}')
    assert "a" in read_json(path, "")
    with pytest.raises(UserError, match=f"{number} is no number"):
        read_json(path, "", finite=True)


@pytest.mark.parametrize("read", [read_json, read_yaml, read_csv])
def test_a_huge_or_missing_file_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    assert callable(read)
    with pytest.raises(UserError, match="no file"):
        read(tmp_path, "")
    monkeypatch.setattr(plain_data, "LARGEST", 10)
    with pytest.raises(UserError, match="more than such a file ever has"):
        read(written(tmp_path, "a" * 11), "")


def test_rows_have_the_cells_that_the_head_names(tmp_path: Path) -> None:
    assert read_csv(written(tmp_path, 'a,b\n1,"x\ny"\n'), "") == [{"a": "1", "b": "x\ny"}]
    for text, said in (
        ("a,b\n1\n", ":2: 1 cells for 2 columns"),
        ("a,b\n1,2,3\n", ":2: 3 cells for 2 columns"),
        ("a,a\n1,2\n", "two columns of one name"),
        ('a\n"' + "x" * 200_000 + '"\n', "is damaged"),
    ):
        with pytest.raises(UserError, match=said):
            read_csv(written(tmp_path, text), "")
