"""Scores are known again to the last digit, under all that they depend on."""

import base64
import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest

from src.evaluation.scoring import from_entry, key_of, to_entry
from src.metrics import ImageResult, score_pair
from src.resume_log import ResumeLog
from tests.metrics.numbered_pairs import make_pair


def test_a_score_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    score = score_pair(*make_pair(1), ["mae", "max_f"])
    ResumeLog(path).add("k", to_entry(score, ["a note"]))
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    again, notices = found
    assert again.values == score.values
    assert np.array_equal(again.histogram, score.histogram)
    assert again.histogram.dtype == score.histogram.dtype
    assert notices == ["a note"]
    assert from_entry(ResumeLog(path).get("other")) is None


def test_an_undefined_value_stays_undefined(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    ResumeLog(path).add(
        "k", to_entry(ImageResult({"mba": math.nan}, np.zeros((2, 256), np.int64)), [])
    )
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    assert math.isnan(found[0].values["mba"])


def test_large_images_fit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    histogram = np.zeros((2, 256), np.int64)
    histogram[1, 255] = 3_000_000_000  # pixels
    ResumeLog(path).add("k", to_entry(ImageResult({}, histogram), []))
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    assert found[0].histogram[1, 255] == 3_000_000_000


def test_entries_of_another_kind_are_passed_over() -> None:
    entry = json.loads(json.dumps(to_entry(score_pair(*make_pair(1), ["mae"]), [])))
    assert from_entry(entry) is not None
    others = {
        "notices": [None, 7, [7], {}],
        "values": [None, [], {"mae": "0.1"}, {"mae": None}, {"mae": 1}],
        "histogram": [None, "", "?", 7, [], _packed(b""), _packed(b"\0" * 2047), _bomb()],
    }
    for name, values in others.items():
        for value in values:
            assert from_entry({**entry, name: value}) is None
        assert from_entry({k: v for k, v in entry.items() if k != name}) is None


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def _bomb() -> str:
    """A kilobyte that unpacks to a megabyte."""
    return _packed(b"\0" * (1 << 20))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("map.png", "truth.png"):
        (tmp_path / name).write_text(name)
    return tmp_path / "map.png", tmp_path / "truth.png"


def test_the_key_is_of_contents_and_not_of_places(files: tuple[Path, Path], tmp_path: Path) -> None:
    key = key_of(*files, ["mae"], None)
    moved = tmp_path / "elsewhere.PNG"
    moved.write_bytes(files[0].read_bytes())
    assert key_of(moved, files[1], ["mae"], None) == key


def test_whatever_changes_a_score_changes_the_key(files: tuple[Path, Path], tmp_path: Path) -> None:
    maps, target = files
    as_jpeg = tmp_path / "map.jpg"  # is read by other rules
    as_jpeg.write_bytes(maps.read_bytes())
    keys = [
        key_of(maps, target, ["mae"], None),
        key_of(target, maps, ["mae"], None),
        key_of(as_jpeg, target, ["mae"], None),
        key_of(maps, target, ["max_f"], None),
        key_of(maps, target, ["mae", "max_f"], None),
        key_of(maps, target, ["mae"], "prediction"),
    ]
    target.write_text("changed")
    keys.append(key_of(maps, target, ["mae"], None))
    assert len({*keys}) == len(keys)
