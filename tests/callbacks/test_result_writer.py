"""The files of a test say the same, image by image and in the mean."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.callbacks import result_writer
from src.callbacks.finetuning_report import FineTuningReport
from src.callbacks.result_writer import ResultWriter
from src.datamodules.base import SegmentationDataModule
from src.errors import UserError
from src.results.folder import read_results_folder
from tests.reporting.run_folders import scored as score


class Named(list[str]):
    """A data set of nothing but names."""

    @property
    def names(self) -> list[str]:
        return list(self)


class Module:
    """The scores of a test, and what they mean."""

    test_metrics = ("mae",)
    processor = SimpleNamespace(size=(8, 8))

    def __init__(self, **values: dict[int, float]) -> None:
        self.tested_images = {
            name: {index: score({"mae": value}) for index, value in of_set.items()}
            for name, of_set in values.items()
        }
        self.tested_values = {
            name: {"mae": sum(of_set.values()) / len(of_set)} for name, of_set in values.items()
        }

    def per_image(self, name: str) -> list[dict[str, float]]:
        return self.test_scores[name].per_image()

    def protocol(self, metric: str) -> str:
        return f"how {metric} was computed"


def scored(writer: ResultWriter, rank: int = 0, callbacks: Any = ()) -> None:
    """A test on two sets, of the first of which one image was left out (`limit_test_batches`)."""
    module: Any = Module(SOD={0: 0.1, 1: 0.2, 3: 0.6}, ECSSD={0: 0.5})
    sets: Any = {"SOD": Named(["a", "b", "left out", "c"]), "ECSSD": Named("x")}
    trainer: Any = SimpleNamespace(
        datamodule=SegmentationDataModule(test=sets),
        is_global_zero=rank == 0,
        callbacks=list(callbacks),
        loggers=[],
    )
    writer.on_test_start(trainer, module)
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
    assert len(read(tmp_path / "curves.json")["ECSSD"]["recall"]) == 256
    table = (tmp_path / "results.md").read_text()
    assert "| mine | SOD | 3 | 0.3000 |" in table
    assert "- mae: how mae was computed" in table
    found = read_results_folder(tmp_path)
    assert (found.kind, found.method) == ("checkpoint", "mine")
    assert found.protocol == {"mae": "how mae was computed"}
    assert found.provenance.images == {"SOD": 3, "ECSSD": 1}
    assert [len(counts) for counts in found.histograms.values()] == [3, 1]
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


def test_the_report_of_fine_tuning_closes_the_table(tmp_path: Path) -> None:
    report = FineTuningReport("val/mae")
    report.rows = [{"step": 0, "scored": {"val": {"mae": 0.3}}}]
    writer = ResultWriter(str(tmp_path), "mine")
    scored(writer, callbacks=[report, writer])
    first, second = (tmp_path / "results.md").read_text().split("\n## Fine-tuning")
    assert "| mine | SOD | 3 | 0.3000 |" in first
    assert "untouched weights" in second


def test_without_a_test_the_report_is_the_table(tmp_path: Path) -> None:
    writer = ResultWriter(str(tmp_path), "mine")
    trainer: Any = SimpleNamespace(is_global_zero=True, callbacks=[writer], loggers=[])
    writer.on_fit_end(trainer, None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    report = FineTuningReport("val/mae")
    report.rows = [{"step": 0, "scored": {"val": {"mae": 0.3}}}]
    trainer.callbacks = [writer, report]
    writer.on_fit_end(trainer, None)  # type: ignore[arg-type]
    assert (tmp_path / "results.md").read_text() == report.section()


@pytest.mark.parametrize(("fit", "kind"), [(True, "run"), (False, "checkpoint")])
def test_what_was_trained_is_a_run(tmp_path: Path, fit: bool, kind: str) -> None:
    writer = ResultWriter(str(tmp_path), "mine")
    if fit:
        writer.on_fit_start(None, None)  # type: ignore[arg-type]
    scored(writer)
    assert read_results_folder(tmp_path).kind == kind


class Nameless(list[Any]):
    """A data set that does not say what its images are called."""


class Short(list[Any]):
    names = ("a",)


@pytest.mark.parametrize("dataset", [Nameless("ab"), Short("ab")])
def test_names_are_asked_for_before_anything_is_scored(tmp_path: Path, dataset: Any) -> None:
    trainer: Any = SimpleNamespace(datamodule=SegmentationDataModule(test={"SOD": dataset}))
    with pytest.raises(UserError, match="the test set SOD has no `names`, one for each image"):
        ResultWriter(str(tmp_path), "mine").on_test_start(trainer, None)  # type: ignore[arg-type]
