"""TensorBoard's event files beside a run's `metrics.csv`: `logger=tensorboard`."""

import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from src.errors import missing_extra
from src.results.folder import ResultsFolder
from src.results.schema import TABLE
from src.training.config import flat, load_config
from src.training.loggers import Tracker, result_values

FOLDER = "tensorboard"
_FLUSH_SECONDS = 10  # what a killed run loses at most; the writer's own default is 120
_NO_CHOICE = ("callbacks.", "logger.", "hydra.")  # what does not tell two trainings apart


class TensorBoardLog(TensorBoardLogger, Tracker):
    """Lightning's logger in one folder of the run, whatever happens to the run.

    A resumed run goes on in the same folder, and TensorBoard then leaves out what was logged after
    the step that it resumes from. Lightning's own would start at the step of a version folder, keep
    both, and write a second file of settings.

    Args:
        folder: Of the run.
        config: The run's settings.
    """

    def __init__(self, folder: str, config: DictConfig) -> None:
        super().__init__(folder, name=FOLDER, version="", default_hp_metric=False)
        self._config = config
        self._goes_on = False  # and nothing was logged since

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The SummaryWriter, begun when it is first asked for."""
        if self._experiment is None:
            from torch.utils.tensorboard import SummaryWriter

            self._goes_on = any(Path(self.log_dir).glob("events.out.tfevents.*"))
            self._experiment = SummaryWriter(self.log_dir, flush_secs=_FLUSH_SECONDS)
            self._log_config()
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._writer(step or 0)
        super().log_metrics(metrics, step)

    @rank_zero_only
    def save(self) -> None:
        """Write what is in the buffers; Lightning's also writes `hparams.yaml`."""
        if self._experiment is not None:
            self._experiment.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the file. A run that goes on, as into its test, opens another."""
        if self._experiment is None:
            return
        writer = self._experiment._get_file_writer()
        writer.add_summary(_end_of_session(status == "success"))
        self._experiment.flush()
        self._experiment.close()

    def log_sheet(self, name: str, sheet: np.ndarray, path: Path, step: int) -> None:
        self._writer(step).add_image(f"gallery/{name}", sheet, step, dataformats="HWC")

    def log_checkpoint(self, path: Path, step: int) -> None:
        """Nothing: event files hold no checkpoints."""

    def log_results(self, results: ResultsFolder, folder: Path, step: int) -> None:
        """The values, how they are spread over the images, and the table as text."""
        writer = self._writer(step)
        for name, value in result_values(results).items():
            if value is not None:
                writer.add_scalar(name, value, step)
        for test, images in results.per_image.items():
            for metric, values in images.values.items():
                if (defined := values[np.isfinite(values)]).size:
                    writer.add_histogram(f"per_image/{test}/{metric}", defined, step)
        table = folder / TABLE
        if table.is_file():
            writer.add_text("results", table.read_text(encoding="utf-8"), step)
        writer.flush()

    def _writer(self, step: int) -> Any:
        """The SummaryWriter, about to write at a step.

        The first time in a run that goes on, TensorBoard is told to drop what was logged after that
        step: it is logged again. What was logged at the step itself stays, as a finished run's
        values do where its test follows later.
        """
        writer = self.experiment
        if self._goes_on:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog

            self._goes_on = False
            restart = Event(session_log=SessionLog(status=SessionLog.START))
            writer._get_file_writer().add_event(restart, step + 1)
        return writer

    def _log_config(self) -> None:
        from torch.utils.tensorboard.summary import hparams

        assert self._experiment is not None
        text = OmegaConf.to_yaml(self._config, resolve=True)
        self._experiment.add_text("config", f"```yaml\n{text}\n```")
        values = OmegaConf.to_container(self._config, resolve=True)
        assert isinstance(values, dict)
        settings = {
            key: value if isinstance(value, bool | int | float) else str(value)
            for key, value in flat(values)  # type: ignore[arg-type]
            if not key.startswith(_NO_CHOICE) and not key.endswith("_target_")
        }
        # Names of metrics only: the HPARAMS tab takes their values from the charts.
        experiment, start, _ = hparams(settings, {str(self._config.model.monitor): 0})
        writer = self._experiment._get_file_writer()
        writer.add_summary(experiment)
        writer.add_summary(start)


def _end_of_session(success: bool) -> Any:
    """What the HPARAMS tab shows as the run's status.

    TensorBoard's function for it imports TensorFlow, and torch's knows success alone.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(
        session_end_info=info, version=metadata.PLUGIN_DATA_VERSION
    )
    plugin = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString()
    )
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG, metadata=SummaryMetadata(plugin_data=plugin)
    )
    return Summary(value=[value])


def tensorboard_logger(folder: str) -> TensorBoardLog:
    """The logger of a run.

    Raises:
        UserError: The package is missing.
    """
    if find_spec("tensorboard") is None:
        raise missing_extra("logger=tensorboard needs the package tensorboard", "loggers")
    return TensorBoardLog(folder, load_config(Path(folder), located=False))
