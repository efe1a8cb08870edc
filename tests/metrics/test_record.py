"""A metric is one file with a record; a wrong record is named before anything is scored."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from src import metrics
from src.errors import UserError
from src.metrics import MetricRecord, describe, higher_is_better, records, require_same
from src.metrics.__main__ import page
from tests.metrics.numbered_pairs import make_pair
from tests.running import ROOT

FIELDS: dict[str, Any] = {
    "name": "darkness",
    "prediction": "8 bit",
    "score": "share of black pixels",
    "of_image": lambda pair: 0.5,
}


def test_the_page_of_protocols_is_written_from_the_records() -> None:
    assert (ROOT / "docs/protocols.md").read_text(encoding="utf-8") == page() + "\n", (
        "python -m src.metrics > docs/protocols.md"
    )


@pytest.mark.parametrize("stage", ["prediction", "target", "matching", "score", "reporting"])
def test_a_record_that_lacks_a_stage_is_refused_by_its_name(stage: str) -> None:
    with pytest.raises(UserError, match=f"metric darkness: its protocol lacks {stage}"):
        MetricRecord(**FIELDS | {stage: " "})


@pytest.mark.parametrize("wrong", [{"name": "Dark ness"}, {"name": "a|b"}, {"version": 0}])
def test_a_record_that_no_table_can_hold_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="metric"):
        MetricRecord(**FIELDS | wrong)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [([1, 2], "returned list"), (None, "returned NoneType"), (float("nan"), "is nan")],
)
def test_a_metric_that_returns_no_number_is_named(answer: Any, complaint: str) -> None:
    record = MetricRecord(**FIELDS | {"of_image": lambda pair: answer})
    with pytest.raises(UserError, match=f"metric darkness {complaint}"):
        record.score_of(None)  # type: ignore[arg-type]


@pytest.fixture
def own_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a file of metrics as a user would, and forgets it afterwards."""
    package = importlib.import_module("src.metrics._record")

    def write(stem: str, text: str) -> None:
        (tmp_path / f"{stem}.py").write_text(text)
        package.records.cache_clear()

    found = package.pkgutil.iter_modules
    monkeypatch.setattr(
        package.pkgutil, "iter_modules", lambda paths: found([*paths, str(tmp_path)])
    )
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    yield write
    package.records.cache_clear()
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"src.metrics.{path.stem}", None)


def test_a_file_is_all_that_a_metric_takes(own_metric: Any) -> None:
    own_metric(
        "darkness",
        "from src.metrics import MetricRecord\n"
        "RECORDS = [MetricRecord(name='darkness', prediction='8 bit', score='black pixels',\n"
        "    of_image=lambda pair: (pair.prediction == 0).mean(), higher_is_better=False)]\n",
    )
    prediction, target = make_pair(0)
    value = metrics.score_image(prediction, target, ["darkness"])["darkness"]
    assert value == (prediction == 0).mean()
    assert not metrics.higher_is_better("darkness")
    assert describe("darkness").startswith("darkness/1: 8 bit; ground truth > 128; ")
    single = metrics.SegmentationMetric("darkness")
    single.update([prediction], [target])
    assert float(single.compute()) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no RECORDS"),
        ("RECORDS = [1]", "no MetricRecord"),
        ("from src.metrics.mae import RECORDS", "two metrics are called mae"),
    ],
)
def test_a_file_that_is_no_metric_is_named(own_metric: Any, text: str, complaint: str) -> None:
    own_metric("zz_wrong", text)
    with pytest.raises(UserError, match=complaint):
        records()


def test_results_with_older_words_and_the_same_version_still_compare() -> None:
    ours = {"mae": describe("mae")}
    require_same(ours, {"mae": "mae/1: mean absolute error; in other words"}, ["mae"])
    with pytest.raises(UserError, match="two protocols"):
        require_same(ours, {"mae": "mae/2: mean absolute error"}, ["mae"])


def test_a_metric_of_another_process_has_the_direction_that_its_protocol_states() -> None:
    assert higher_is_better("theirs")
    assert not higher_is_better("theirs", "a.Metric(): mean over images; lower is better")
    assert not higher_is_better("mae", "whatever it says")
