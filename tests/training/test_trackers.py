"""TensorBoard and MLflow hold what a run logs, read back from their own files."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from src.errors import UserError
from src.training import mlflow_log, preemption
from src.training.mlflow_log import MLflowLog, mlflow_logger
from src.training.tensorboard_log import tensorboard_logger
from tests.in_process import finish
from tests.running import TINY, folder_data, only_run

pytestmark = pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database whose tables are made, which takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    write_config(folder)
    uri = f"sqlite:///{folder}/mlflow.db"
    assert mlflow_logger(str(folder), "none", "none", uri) is not None
    return uri


@pytest.fixture(scope="module")
def resumed(root: Path, database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch and its test, which goes on for another."""
    cwd = tmp_path_factory.mktemp("run")
    options = [
        "logger=[tensorboard,mlflow]",
        f"logger.mlflow.tracking_uri={database}",
        "logger.mlflow.artifact=true",
    ]
    once = ["model.epochs=1", "callbacks.progress=null", "trainer.limit_train_batches=2", *options]
    finish(["train.py", *TINY, *folder_data(root), *once], cwd)
    folder = only_run(cwd / "logs")
    finish(["train.py", f"resume={folder}", "trainer.max_epochs=2"], cwd)
    return folder


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0})
    return found.Reload()


def mlflow_run(folder: Path, database: str) -> Any:
    """The run that a folder says it is."""
    return MlflowClient(database).get_run(
        json.loads((folder / "mlflow.json").read_text())["run_id"]
    )


def write_config(folder: Path, **values: Any) -> None:
    cfg = {"model": {"name": "m", "monitor": "val/max_f"}, "seed": 0, **values}
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(cfg)))


def test_tensorboard_has_a_resumed_run_in_one_folder_with_each_step_once(resumed: Path) -> None:
    found = events(resumed)
    assert [one.step for one in found.Scalars("train/loss")] == [0, 1, 2, 3]
    assert [one.step for one in found.Scalars("val/max_f")] == [1, 3]
    (test, values), *_ = json.loads((resumed / "results.json").read_text()).items()
    for metric, value in values.items():
        assert found.Scalars(f"test/{test}/{metric}")[-1].value == pytest.approx(value, abs=1e-6)
    assert f"per_image/{test}/mae" in found.Tags()["distributions"]
    assert {"gallery/val", "gallery/test"} <= set(found.Tags()["images"])
    sheet = found.Images("gallery/test")[-1]
    assert sheet.encoded_image_string.startswith(b"\x89PNG")
    assert (sheet.width, sheet.height) > (100, 100)


def test_tensorboard_has_the_settings_and_how_the_run_ended(resumed: Path) -> None:
    found = events(resumed)
    (config,) = found.Tensors("config/text_summary")[-1].tensor_proto.string_val
    assert "max_epochs: 2" in config.decode()
    metadata = found.summary_metadata

    def plugin(tag: str) -> Any:
        content = metadata[f"_hparams_/{tag}"].plugin_data.content
        return plugin_data_pb2.HParamsPluginData.FromString(content)

    settings = plugin("session_start_info").session_start_info.hparams
    assert settings["model.name"].string_value == "u2netp"
    assert settings["data.batch_size"].number_value == 2
    (shown,) = plugin("experiment").experiment.metric_infos
    assert shown.name.tag == "val/max_f"
    assert plugin("session_end_info").session_end_info.status == 1  # STATUS_SUCCESS


def test_mlflow_continues_its_run_and_has_every_digit(resumed: Path, database: str) -> None:
    run = mlflow_run(resumed, database)
    client = MlflowClient(database)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "u2netp-folder-seed0"
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [one.step for one in history] == [0, 1, 2, 3]
    for test, values in json.loads((resumed / "results.json").read_text()).items():
        assert {m: run.data.metrics[f"test/{test}/{m}"] for m in values} == values
    assert run.data.params["trainer.max_epochs"] == "1"  # as it began
    (experiment,) = client.search_experiments(filter_string="name = 'finecut'")
    assert len(client.search_runs([experiment.experiment_id])) == 1


def test_mlflow_has_the_files(resumed: Path, database: str) -> None:
    run = mlflow_run(resumed, database)
    artifacts = Path(run.info.artifact_uri)
    for name in ("results.json", "per_image.csv", "results.md", "config.yaml"):
        assert (artifacts / name).read_bytes() == (resumed / name).read_bytes()
    sheets = {path.name for path in (resumed / "gallery").iterdir()}
    assert {path.name for path in (artifacts / "gallery").iterdir()} == sheets
    best = (resumed / "checkpoints" / "best.ckpt").read_bytes()
    assert (artifacts / "checkpoints" / "best.ckpt").read_bytes() == best


def logger_of(folder: Path, database: str) -> MLflowLog:
    write_config(folder)
    logger = mlflow_logger(str(folder), "small", "one", database)
    assert logger is not None
    return logger


@pytest.mark.parametrize("stopped", [False, True])
def test_mlflow_knows_a_run_that_failed_from_one_that_was_stopped(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    logger = logger_of(tmp_path, database)
    logger.log_metrics({"train/loss": 1.0}, 0)
    assert mlflow_run(tmp_path, database).info.status == "RUNNING"
    monkeypatch.setattr(preemption, "pending_signal", lambda: 15 if stopped else 0)
    logger.finalize("failed")
    assert mlflow_run(tmp_path, database).info.status == ("KILLED" if stopped else "FAILED")
    # As it goes on.
    again = logger_of(tmp_path, database)
    again.log_metrics({"train/loss": 0.5}, 1)
    assert again.run_id == logger.run_id
    assert mlflow_run(tmp_path, database).info.status == "RUNNING"


def test_a_server_that_goes_away_ends_no_run_and_gets_the_rest_later(
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logger_of(tmp_path, database)
    logger.log_metrics({"a": 1.0}, 0)
    client, there = logger._mlflow_client, logger._mlflow_client.log_batch

    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError("http://me:secret@host is gone")

    monkeypatch.setattr(client, "log_batch", gone)
    with caplog.at_level(logging.WARNING):
        for step in (1, 2):
            logger.log_metrics({"a": float(step)}, step)
    (said,) = caplog.messages  # once
    assert "the run goes on" in said
    assert "secret" not in said
    monkeypatch.setattr(client, "log_batch", there)
    logger.finalize("success")
    history = client.get_metric_history(logger.run_id, "a")
    assert [one.step for one in history] == [0, 1, 2]


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("http://127.0.0.1:9", r"http://127\.0\.0\.1:9 cannot be used \(Connection refused\)"),
        (
            "postgresql+psycopg://127.0.0.1:9/db",
            r":9/db cannot be used \(Connection refused",
        ),
        ("file:///tmp/mlruns", r"is file:///tmp/mlruns: give http"),
        ("http://me:secret@host", r"\(http://host\) has a password.*MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_line_before_training(
    tmp_path: Path, uri: str, line: str
) -> None:
    write_config(tmp_path)
    with pytest.raises(UserError, match=line) as caught:
        mlflow_logger(str(tmp_path), "e", "n", uri)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_password_of_the_environment_is_never_said_or_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UserError) as caught:
        mlflow_logger(str(tmp_path), "e", "n")
    assert "secret" not in str(caught.value)
    assert "http://127.0.0.1:9" in str(caught.value)


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(tmp_path)
    for package, begin in (
        ("tensorboard", lambda: tensorboard_logger(str(tmp_path))),
        ("mlflow", lambda: mlflow_logger(str(tmp_path), "e", "n")),
    ):
        monkeypatch.setattr(f"src.training.{package}_log.find_spec", lambda name: None)
        with pytest.raises(UserError, match=r"\[loggers\]"):
            begin()


def test_a_damaged_note_of_the_mlflow_run_is_one_line(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / mlflow_log.RUN).write_text('{"run_id": "../../x", "tracking_uri": "sqlite:///x"}')
    with pytest.raises(UserError, match=r"mlflow\.json is damaged; remove it"):
        mlflow_logger(str(tmp_path), "e", "n")
