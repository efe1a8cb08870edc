"""Scores are known again to the last digit, under all that they depend on."""

import base64
import json
import math
import zlib
from pathlib import Path

import numpy as np

from src.datamodules.mask_levels import Scale
from src.evaluation.matching import MapPair
from src.evaluation.stored_scores import (
    Outcome,
    PairContent,
    complete,
    from_entry,
    join,
    key_of,
    to_entry,
)
from src.metrics import ImageResult, score_pair
from src.resume_log import ResumeLog
from tests.metrics.numbered_pairs import make_pair

SCALES = Scale(255, 255), None


def outcome(score: ImageResult, notices: list[str] | None = None) -> Outcome:
    return Outcome(score, notices or [], SCALES)


def test_a_score_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    score = score_pair(*make_pair(1), ["mae", "max_f"])
    ResumeLog(path).add("k", to_entry(outcome(score, ["a note"])))
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    again, notices, scales = found
    assert again is not None
    assert again.values == score.values
    assert np.array_equal(again.histogram, score.histogram)
    assert again.histogram.dtype == score.histogram.dtype
    assert (notices, scales) == (["a note"], SCALES)
    assert from_entry(ResumeLog(path).get("other")) is None


def test_what_a_set_needs_of_an_image_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    score = score_pair(*make_pair(1), ["max_msiou", "whole_si_f_raw"])
    ResumeLog(path).add("k", to_entry(outcome(score)))
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    assert found.score is not None
    assert set(found.score.kept) == {"msiou", "si_f_raw"}
    assert all(np.array_equal(found.score.kept[name], score.kept[name]) for name in score.kept)


def test_an_undefined_value_stays_undefined(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    ResumeLog(path).add(
        "k", to_entry(outcome(ImageResult({"mba": math.nan}, np.zeros((2, 256), np.int64))))
    )
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    assert found.score is not None
    assert math.isnan(found.score.values["mba"])


def test_large_images_fit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    histogram = np.zeros((2, 256), np.int64)
    histogram[1, 255] = 3_000_000_000  # pixels
    ResumeLog(path).add("k", to_entry(outcome(ImageResult({}, histogram))))
    found = from_entry(ResumeLog(path).get("k"))
    assert found is not None
    assert found.score is not None
    assert found.score.histogram[1, 255] == 3_000_000_000


def test_entries_of_another_kind_are_passed_over() -> None:
    entry = json.loads(json.dumps(to_entry(outcome(score_pair(*make_pair(1), ["mae"])))))
    assert from_entry(entry) is not None
    others = {
        "scales": [None, 7, [], [None], [None, 1], [[1], None], [[1, "255"], None]],
        "notices": [None, 7, [7], {}],
        "values": [None, [], {"mae": "0.1"}, {"mae": None}, {"mae": 1}],
        "histogram": [None, "", "?", 7, [], _packed(b""), _packed(b"\0" * 2047), _bomb()],
        "kept": [None, [], {"msiou": 7}, {"msiou": "?"}, {"msiou": "AAAA"}],
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


def test_that_a_pair_waits_for_its_set_comes_back_too() -> None:
    waiting = Outcome(None, [], (Scale(1, 255), Scale(255, 255)))
    assert from_entry(json.loads(json.dumps(to_entry(waiting)))) == waiting


PAIR = MapPair("SET", "a", Path("map.png"), Path("truth.png"))
CONTENT = PairContent(b"map", b"truth")


def test_the_key_is_of_contents_and_not_of_places() -> None:
    moved = PAIR._replace(set="OTHER", name="b", map=Path("elsewhere.PNG"))
    assert key_of(moved, CONTENT, None) == key_of(PAIR, CONTENT, None)


def test_whatever_changes_a_histogram_changes_the_key() -> None:
    as_jpeg = PAIR._replace(map=Path("map.jpg"))  # is read by other rules
    keys = [
        key_of(PAIR, CONTENT, None),
        key_of(PAIR, PairContent(*CONTENT[::-1]), None),
        key_of(as_jpeg, CONTENT, None),
        key_of(PAIR, CONTENT, "prediction"),
        key_of(PAIR, CONTENT._replace(target=b"changed"), None),
        key_of(PAIR._replace(map_scale=1), CONTENT, None),
        key_of(PAIR._replace(target_scale=1), CONTENT, None),
    ]
    assert len({*keys}) == len(keys)


def test_a_value_of_another_protocol_is_not_known() -> None:
    entry = json.loads(json.dumps(to_entry(outcome(score_pair(*make_pair(1), ["mae", "hce"])))))
    entry["protocols"]["hce"] = "that of another version"
    found = from_entry(entry)
    assert found is not None
    assert found.score is not None
    assert [*found.score.values] == ["mae"]
    assert complete(found, ["mae", "hce"])[1] == ["hce"]


def test_what_follows_from_the_histogram_needs_no_scoring() -> None:
    stored = outcome(score_pair(*make_pair(1), ["hce"]))
    found, lacking = complete(stored, ["mean_dice", "s_measure", "hce", "max_f"])
    assert lacking == ["s_measure"]
    added = outcome(score_pair(*make_pair(1), lacking))
    joined = join(found, added).score
    assert joined is not None
    expected = score_pair(*make_pair(1), ["hce", "mean_dice", "max_f", "s_measure"]).values
    assert joined.values == expected
