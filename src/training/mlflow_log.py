"""MLflow beside a run's `metrics.csv`: `logger=mlflow`."""

import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import OmegaConf

from src.atomic import atomic_write
from src.errors import CommandError, UserError, missing_extra
from src.results.folder import ResultsFolder
from src.results.schema import PER_IMAGE, RESULTS, TABLE
from src.training import preemption
from src.training.config import CONFIG, flat, load_config
from src.training.loggers import Tracker, result_values

log = logging.getLogger(__name__)

RUN = "mlflow.json"  # in the run's folder: which run of which server it is
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_LOCAL = Path("logs")
_LONGEST = 6000  # characters of a parameter's value that MLflow takes
_PARAMETERS = 100  # of one request
_AGAIN = 60.0  # seconds before a server that did not answer is asked again
_KEY = re.compile(r"[^\w./ -]")


class MLflowLog(MLFlowLogger, Tracker):
    """Lightning's logger, whose run continues with the run's folder.

    Before training a server that cannot be used is an error. Once training is under way it costs
    no training: what it does not take is kept and sent again, and `metrics.csv` has it in any case.

    Args:
        folder: Of the run.
        tracking_uri: Of the server or database.
        experiment: In which the run stands.
        name: Of the run.
        artifact: Whether to upload the best checkpoint.
        run_id: To continue; None: a new one.
    """

    def __init__(
        self,
        folder: str,
        tracking_uri: str,
        experiment: str,
        name: str,
        artifact: bool = False,
        run_id: str | None = None,
    ) -> None:
        super().__init__(
            experiment_name=experiment,
            run_name=name,
            tracking_uri=tracking_uri,
            artifact_location=_artifacts_of(tracking_uri),
            run_id=run_id,
        )
        self.artifact, self.folder = artifact, Path(folder)
        self._pending: list[Any] = []  # metrics that were not taken yet
        self._silent_until = 0.0
        self._ended = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The client, whose run is begun or continued when it is first asked for.

        Raises:
            UserError: The server refuses it.
        """
        if not self._initialized:
            with _one_line(self._tracking_uri), _quiet(), _few_retries():
                client = super().experiment
                assert self._run_id is not None
                _Known(_shown(self._tracking_uri), self._run_id).write(self.folder)
                client.update_run(self._run_id, status="RUNNING")
                self._log_config(client)
        return self._mlflow_client

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        client, now = self.experiment, int(time.time() * 1000)
        self._pending += [
            Metric(_KEY.sub("_", name), float(value), now, step or 0)
            for name, value in metrics.items()
        ]
        if self._ended:  # as the test follows training
            self._ended = not self._attempt(lambda: client.update_run(self._run_id, "RUNNING"))
        self._send()

    def log_sheet(self, name: str, sheet: np.ndarray, path: Path, step: int) -> None:
        client = self.experiment
        self._attempt(lambda: client.log_artifact(self._run_id, str(path), "gallery"))

    def log_checkpoint(self, path: Path, step: int) -> None:
        client = self.experiment
        self._attempt(lambda: client.log_artifact(self._run_id, str(path), "checkpoints"))

    def log_results(self, results: ResultsFolder, folder: Path, step: int) -> None:
        """The values to the last digit, and the files that they come from."""
        values = result_values(results)
        self.log_metrics({name: v for name, v in values.items() if v is not None}, step)
        client = self.experiment
        for file in (RESULTS, PER_IMAGE, TABLE):
            if (path := folder / file).is_file():
                self._attempt(lambda path=path: client.log_artifact(self._run_id, str(path)))  # type: ignore[misc]

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        """Say how the run ended: FINISHED, FAILED, or KILLED by a signal or Ctrl-C."""
        if not self._initialized:
            return
        client, ended = self._mlflow_client, "FINISHED" if status != "failed" else "FAILED"
        interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        if ended == "FAILED" and (interrupted or preemption.pending_signal()):
            ended = "KILLED"
        self._silent_until = 0.0
        self._send()
        self._ended = self._attempt(lambda: client.set_terminated(str(self._run_id), ended))
        if self._pending:
            log.warning(
                "MLflow has not taken the last %d values; metrics.csv has them", len(self._pending)
            )

    def _send(self) -> None:
        client = self._mlflow_client
        while self._pending:
            part = self._pending[:1000]  # of one request
            if not self._attempt(lambda: client.log_batch(str(self._run_id), metrics=part)):  # noqa: B023
                return
            del self._pending[: len(part)]

    def _attempt(self, call: Callable[[], Any]) -> bool:
        """Call the server; where it fails, say so once and leave it alone for a while."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            with _quiet(), _few_retries():
                call()
        except Exception as error:  # of the network, of the database, of MLflow: none ends a run
            self._silent_until = time.monotonic() + _AGAIN
            log.warning(
                "MLflow at %s did not take what was logged (%s); the run goes on",
                _shown(self._tracking_uri),
                _reason(error, self._tracking_uri),
            )
            return False
        return True

    def _log_config(self, client: Any) -> None:
        """Parameters as the run began, which MLflow lets nobody change, and the file as it is."""
        from mlflow.entities import Param

        plain = OmegaConf.to_container(load_config(self.folder, located=False), resolve=True)
        assert isinstance(plain, dict)
        known = client.get_run(self._run_id).data.params
        values = {_KEY.sub("_", key): str(value)[:_LONGEST] for key, value in flat(plain)}  # type: ignore[arg-type]
        new = [Param(key, value) for key, value in values.items() if key not in known]
        for first in range(0, len(new), _PARAMETERS):
            client.log_batch(self._run_id, params=new[first : first + _PARAMETERS])
        client.log_artifact(self._run_id, str(self.folder / CONFIG))


class _Known(NamedTuple):
    """Which run of MLflow a run's folder is."""

    tracking_uri: str  # without a password
    run_id: str

    @classmethod
    def read(cls, folder: Path) -> "_Known | None":
        path = folder / RUN
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            known = cls(str(found["tracking_uri"]), str(found["run_id"]))
        except (ValueError, KeyError, TypeError):
            known = None
        if known is None or not re.fullmatch(r"[0-9a-f]{32}", known.run_id):
            raise UserError(f"{path} is damaged; remove it: MLflow then gets a new run")
        return known

    def write(self, folder: Path) -> None:
        atomic_write(folder / RUN, json.dumps(self._asdict(), indent=2) + "\n")


def mlflow_logger(
    folder: str,
    experiment: str,
    name: str,
    tracking_uri: str | None = None,
    artifact: bool = False,
) -> MLflowLog | None:
    """The logger of a run; None on all processes but the first.

    Args:
        folder: Of the run.
        experiment: In which the run stands.
        name: Of the run.
        tracking_uri: Of the server or database; None: MLFLOW_TRACKING_URI, else `logs/mlflow.db`.
        artifact: Whether to upload the best checkpoint.

    Raises:
        UserError: A package is missing, or the server cannot be used.
        CommandError: No address of a server or database, or one with a password.
    """
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return None
    for package in ("mlflow", "sqlalchemy", "alembic"):
        if find_spec(package) is None:
            raise missing_extra(f"logger=mlflow needs the package {package}", "loggers")
    # It reports which of its functions are used, unless it is told not to before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    known = _Known.read(Path(folder))
    uri = _address(tracking_uri, known)
    run_id = known.run_id if known is not None and known.tracking_uri == _shown(uri) else None
    with _one_line(uri), _quiet(), _few_retries(), _opened(uri):
        logger = MLflowLog(folder, uri, experiment, name, artifact, run_id)
        if run_id is None:
            logger._mlflow_client.get_experiment_by_name(experiment)
        elif not _is_there(logger._mlflow_client, run_id):
            log.warning("MLflow no longer has the run %s: a new one goes on", run_id)
            logger._run_id = None
    return logger


def _address(given: str | None, known: _Known | None) -> str:
    """The address of the server or database, checked."""
    uri = given or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri and known is not None:
        return known.tracking_uri  # that of the working folder in which the run was begun
    if not uri:
        return f"sqlite:///{(_LOCAL / 'mlflow.db').absolute()}"
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme not in (*_DATABASES, "http", "https", "databricks") and uri != "databricks":
        raise CommandError(
            f"logger.mlflow.tracking_uri is {_shown(uri)}: give http(s)://HOST:PORT or"
            " sqlite:///FILE; folders of files (mlruns) are what MLflow itself gives up"
        )
    if given and urlsplit(given).password:
        raise CommandError(
            f"logger.mlflow.tracking_uri ({_shown(given)}) has a password, which would be saved"
            " with the run: give it in MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and"
            " MLFLOW_TRACKING_PASSWORD"
        )
    return uri


def _shown(uri: str) -> str:
    """An address without user and password."""
    return re.sub(r"//[^/@\s]*@", "//", uri)


def _artifacts_of(uri: str) -> str | None:
    """Where files of a new experiment go; a server decides itself."""
    if not uri.startswith("sqlite:"):
        return None
    return str(_file_of(uri).with_suffix("").absolute()) + "-artifacts"


def _file_of(uri: str) -> Path:
    return Path(uri.partition(":///")[2] or "mlflow.db")


def _is_there(client: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


@contextmanager
def _one_line(uri: str) -> Iterator[None]:
    """Turn what MLflow, a database or the network raises into one line without secrets."""
    try:
        yield
    except (UserError, OSError) as error:
        if isinstance(error, UserError) or not _is_of_requests(error):
            raise
        raise _unusable(uri, error) from None
    except Exception as error:
        raise _unusable(uri, error) from None


def _is_of_requests(error: OSError) -> bool:
    return type(error).__module__.startswith(("requests", "urllib3"))


def _unusable(uri: str, error: Exception) -> UserError:
    return UserError(
        f"logger=mlflow: {_shown(uri)} cannot be used ({_reason(error, uri)}). Start the server,"
        " mend logger.mlflow.tracking_uri, or leave the logger out; nothing was trained"
    )


def _reason(error: Exception, uri: str) -> str:
    """The first line of an error without addresses, users and passwords."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    for refused in ("Connection refused", "Name or service not known", "timed out"):
        if refused.lower() in str(error).lower():
            text = refused
    secrets = (urlsplit(uri).password, os.environ.get("MLFLOW_TRACKING_PASSWORD"))
    for secret in (*secrets, os.environ.get("MLFLOW_TRACKING_TOKEN")):
        text = text.replace(secret, "***") if secret else text
    text = _shown(text).rstrip(".")
    return text if len(text) <= 200 else f"{text[:199]}…"


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what MLflow and SQLAlchemy say of themselves, which a user can mend none of."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic", "lightning.pytorch")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)


@contextmanager
def _few_retries() -> Iterator[None]:
    """Ask once more where MLflow would ask for minutes, unless its own variables say otherwise."""
    few = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
    added = {name: value for name, value in few.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _opened(uri: str) -> Iterator[None]:
    """See first that a database answers, and let one process create a local one."""
    if uri.startswith("sqlite:"):
        file = _file_of(uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):  # jobs of a sweep begin together
            yield
        return
    if urlsplit(uri).scheme.partition("+")[0] in _DATABASES:
        _connect(uri)
    yield


def _connect(uri: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    waits = {"connect_timeout": 10} if uri.startswith(("postgresql", "mysql")) else {}
    create_engine(uri, poolclass=NullPool, connect_args=waits).connect().close()
