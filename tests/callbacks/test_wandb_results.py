"""What Weights & Biases is sent: the digits of the run's own files, on the writing process only."""

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from src.callbacks.result_writer import ResultWriter
from src.results.folder import read_results_folder
from src.results.write import SetResults, write_results_folder
from src.training.loggers import WandbLog
from tests.reporting.run_folders import scored as score


class Page:
    """Stands in for a run of W&B and notes what it is sent."""

    group, project, id = "isnet/dis5k", "finecut", "abc"

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.artifacts: list[Any] = []

    def log(self, values: dict[str, Any]) -> None:
        self.logged |= values

    def log_artifact(self, artifact: Any, aliases: list[str]) -> None:
        self.artifacts.append((artifact, aliases))


class Artifact(SimpleNamespace):
    def __init__(self, name: str, type: str, metadata: dict[str, Any]) -> None:
        super().__init__(name=name, type=type, metadata=metadata, files=[])

    def add_file(self, path: str) -> None:
        self.files.append(path)


class Log(WandbLog):
    """The logger of a run whose page is a stand-in."""

    def __init__(self, page: Page, artifact: bool = False) -> None:
        self.page, self.artifact = page, artifact

    @property
    def experiment(self) -> Any:
        return self.page


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing wandb takes a second; of it, only these two are asked for."""
    stand_in = SimpleNamespace(Artifact=Artifact, Table=lambda **given: given)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)


def trainer(*loggers: Any, first: bool = True) -> Any:
    return SimpleNamespace(
        loggers=[object(), *loggers], is_global_zero=first, global_step=70, callbacks=[]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that was tested on two sets."""
    images = [score({"mba": value}) for value in (0.1, 2 / 3, math.nan)]
    sets = {
        "A": SetResults({"mba": 1 / 3, "max_f": 0.9}, ["a", "b"], images[:2]),
        "B": SetResults({"mba": math.nan, "max_f": 0.2}, ["x"], images[2:]),
    }
    write_results_folder(tmp_path, sets, kind="run", method="mine", protocol={})
    return tmp_path


def test_the_summary_has_every_digit_of_the_results(folder: Path) -> None:
    page = Page()
    page.summary = {"test/A/mba": 0.33333334, "other": 1}
    Log(page).log_results(read_results_folder(folder), folder, 70)
    assert page.summary == {
        "test/A/mba": 1 / 3,
        "test/A/max_f": 0.9,
        "test/B/mba": None,
        "test/B/max_f": 0.2,
        "other": 1,
    }


def test_each_set_has_a_table_of_its_images(folder: Path) -> None:
    page = Page()
    Log(page).log_results(read_results_folder(folder), folder, 70)
    assert page.logged.keys() == {"per_image/A", "per_image/B"}
    table = page.logged["per_image/A"]
    assert table == {"columns": ["name", "mba"], "data": [["a", 0.1], ["b", 2 / 3]]}
    ((name, undefined),) = page.logged["per_image/B"]["data"]
    assert name == "x"
    assert math.isnan(undefined)


def test_other_ranks_read_and_send_nothing(tmp_path: Path) -> None:
    callback, page = ResultWriter(str(tmp_path), "mine"), Page()
    at = trainer(Log(page, artifact=True), first=False)
    callback.on_test_end(at, None)  # type: ignore[arg-type]
    callback.on_fit_end(at, None)  # type: ignore[arg-type]
    assert (page.logged, page.summary, page.artifacts) == ({}, {}, [])


def test_the_best_checkpoint_is_uploaded_where_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    best = tmp_path / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(1)}}, best)
    for asked in (False, True):
        page = Page()
        at = trainer(Log(page, artifact=asked))
        ResultWriter(str(tmp_path), "mine").on_fit_end(at, None)  # type: ignore[arg-type]
        assert len(page.artifacts) == asked
    ((artifact, aliases),) = page.artifacts
    assert (artifact.name, artifact.type) == ("isnet-dis5k-abc", "model")
    assert (artifact.metadata, artifact.files, aliases) == ({"step": 70}, [str(best)], ["best"])


def test_a_run_without_a_group_is_named_after_its_project(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    weights = {"state_dict": {"a": torch.zeros(1)}}
    torch.save(weights, tmp_path / "checkpoints" / "recent-0000070.ckpt")
    page = Page()
    page.group = ""
    at = trainer(Log(page, artifact=True))
    ResultWriter(str(tmp_path), "mine").on_fit_end(at, None)  # type: ignore[arg-type]
    assert page.artifacts[0][0].name == "finecut-abc"
