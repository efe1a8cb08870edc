"""One home for hashes: other tools and older run folders know the same ones."""

import ast
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from src import hashing
from src.hashing import bytes_hash, checksum, file_hash, remember, value_hash
from tests.running import ROOT


def test_only_one_file_calls_hashlib() -> None:
    users = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = node.names if isinstance(node, ast.Import) else []
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module == "hashlib" or any(alias.name == "hashlib" for alias in named):
                users.add(path.relative_to(ROOT).as_posix())
    assert users == {"src/hashing.py"}


def test_a_file_has_the_hash_that_other_tools_say(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000  # more than one block
    (tmp_path / "a").write_bytes(content)
    assert file_hash(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert file_hash(str(tmp_path / "a")) == file_hash(tmp_path / "a")
    assert file_hash(tmp_path / "a", "md5") == hashlib.md5(content).hexdigest()
    (tmp_path / "b").touch()
    assert file_hash(tmp_path / "b") == hashlib.sha256().hexdigest()


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    remember(path.stat(), "of another reader")
    assert file_hash(path) == "of another reader"
    path.write_bytes(b"other")
    assert file_hash(path) == hashlib.sha256(b"other").hexdigest()
    monkeypatch.setattr(hashing, "new_hash", None)
    assert file_hash(path) == hashlib.sha256(b"other").hexdigest()


def test_parts_hash_as_what_they_make_together() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for made in (bytes_hash, checksum):
        assert made((b"ab", b"", memoryview(b"c"), array.data)) == made(b"abc" + array.tobytes())
        assert made(b"") == made(())
    assert bytes_hash(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_plain_values_are_hashed_by_their_canonical_json() -> None:
    value = {"b": [1, None, "ä"], "a": {"y": 0.1, "x": True}}
    text = json.dumps({"a": {"x": True, "y": 0.1}, "b": [1, None, "ä"]})
    assert value_hash(value) == hashlib.sha256(text.encode()).hexdigest()
    assert value_hash({"folder": Path("x")}) == value_hash({"folder": "x"})
    assert len({value_hash(one) for one in (1, "1", [1], None, True, {"1": 1})}) == 6


def test_a_checksum_has_the_digits_that_were_asked_for() -> None:
    assert [len(checksum(b"a", digits)) for digits in (12, 16, 32)] == [12, 16, 32]
    assert checksum(b"a", 12) == hashlib.blake2b(b"a", digest_size=6).hexdigest()
    assert checksum(os.urandom(9)) != checksum(os.urandom(9))
