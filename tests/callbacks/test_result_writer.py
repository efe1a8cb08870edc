"""The files of a test say the same, image by image and in the mean."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from src.training.results import digest

from src.callbacks import result_writer
from src.callbacks.result_writer import ResultWriter


class SegmentationMetrics:
    """Stands in for `src.metrics.SegmentationMetrics`: images by index, in a test's order."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def per_image(self) -> list[dict[str, float]]:
        return [{"index": i, "mae": value} for i, value in enumerate(self.values)]

    def mean_curves(self) -> dict[str, list[float]]:
        return {"precision": [1.0], "recall": [0.5], "f": [0.7]}


class Module:
    """The scores of a test, and what they mean."""

    test_metrics = ("mae",)
    processor = SimpleNamespace(size=(8, 8))

    def __init__(self, **test_scores: SegmentationMetrics) -> None:
        self.test_scores = test_scores

    def test_values(self, name: str) -> dict[str, float]:
        values = self.test_scores[name].values
        return {"mae": sum(values) / len(values)}

    def protocol(self, metric: str) -> str:
        return f"how {metric} was computed"


def scored(writer: ResultWriter, rank: int = 0) -> None:
    """A test on two sets, whose images come in batches of any order."""
    module: Any = Module(SOD=SegmentationMetrics(0.1, 0.2, 0.6), ECSSD=SegmentationMetrics(0.5))
    datamodule = SimpleNamespace(test_names=["SOD", "ECSSD"])
    trainer: Any = SimpleNamespace(datamodule=datamodule, is_global_zero=rank == 0)
    batches = [(0, [2, 0], ["c", "a"]), (0, [1, 0], ["b", "a"]), (1, [0], ["x"])]
    for loader, index, names in batches:
        batch: Any = {"index": torch.tensor(index), "name": names}
        writer.on_test_batch_end(trainer, module, None, batch, 0, loader)
    writer.on_test_end(trainer, module)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_all_files_of_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored(ResultWriter(str(tmp_path), "mine"))
    assert read(tmp_path / "results.json") == {
        "SOD": {"mae": pytest.approx(0.3)},
        "ECSSD": {"mae": 0.5},
    }
    with (tmp_path / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [tuple(row.values()) for row in rows] == [
        ("SOD", "a", "0.1"),
        ("SOD", "b", "0.2"),
        ("SOD", "c", "0.6"),
        ("ECSSD", "x", "0.5"),
    ]
    assert read(tmp_path / "curves.json")["ECSSD"]["recall"] == [0.5]
    table = (tmp_path / "results.md").read_text()
    assert "| mine | SOD | 3 | 0.3000 |" in table
    assert "- mae: how mae was computed" in table
    said = read(tmp_path / "provenance.json")
    files = {name: digest(tmp_path / name) for name in ("results.json", "per_image.csv")}
    assert said == {
        "protocol": {"mae": "how mae was computed"},
        "images": {"SOD": 3, "ECSSD": 1},
        "files": files,
    }
    shown = capsys.readouterr().out
    assert "| mine | ECSSD | 1 | 0.5000 |" in shown
    assert "how mae" not in shown


def test_baselines_stand_in_the_table_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def score(datamodule: Any, size: Any, metrics: Any) -> list[Any]:
        asked.append((size, metrics))
        return [("Otsu threshold", "SOD", 3, {"mae": 0.9})]

    monkeypatch.setattr(result_writer, "score_baselines", score)
    scored(ResultWriter(str(tmp_path), "mine", baselines=True))
    assert asked == [((8, 8), ("mae",))]
    assert "| Otsu threshold | SOD | 3 | 0.9000 |" in (tmp_path / "results.md").read_text()
    assert "Otsu" not in (tmp_path / "results.json").read_text()


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    scored(ResultWriter(str(tmp_path), "mine"), rank=1)
    assert list(tmp_path.iterdir()) == []


def test_names_are_gathered_from_all_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"SOD": {0: "a", 2: "c"}}
    other = {"SOD": {1: "b"}, "ECSSD": {0: "x"}}

    def gather(parts: list[Any], mine: Any) -> None:
        parts[:] = [mine, other]

    monkeypatch.setattr(result_writer.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(result_writer.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(result_writer.dist, "all_gather_object", gather)
    assert result_writer._gathered(own) == {"SOD": {0: "a", 1: "b", 2: "c"}, "ECSSD": {0: "x"}}
