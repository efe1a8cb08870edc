"""A search for the settings with the best objective: an Optuna study that workers share."""

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from filelock import FileLock, Timeout
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from src.errors import UserError

# What people write, and SQLAlchemy's name for it with the driver that the extra `sweep` brings.
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
Space = Mapping[str, BaseDistribution]


def open_storage(given: str | None, folder: Path) -> RDBStorage:
    """The storage that a URL names, or `study.db` in the sweep's folder.

    Raises:
        UserError: No URL, no driver, no server, or it lets nobody in; without the password.
    """
    if given is None:
        # Not as a URL, in which `?` and `#` of a folder's name would mean something.
        connect = partial(sqlite3.connect, folder / "study.db", check_same_thread=False)
        # A pool would leave its connections open, which Python 3.13 warns of.
        return RDBStorage(
            "sqlite:///study.db", engine_kwargs={"creator": connect, "poolclass": NullPool}
        )
    try:
        url = make_url(given)
    except SQLAlchemyError:
        raise UserError(
            "sweep.storage is no URL: give sqlite:///FILE or"
            " postgresql://user:password@host/database (@ : / in a password as %40 %3A %2F)"
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    with said_without_password(url):
        # Optuna fills `{…}` in; a password may have them.
        text = url.render_as_string(hide_password=False)
        text = text.replace("{", "{{").replace("}", "}}")
        # Trials take hours: no connection is held meanwhile, of which a server has a hundred.
        return RDBStorage(text, engine_kwargs={"poolclass": NullPool})


@contextmanager
def said_without_password(url: URL | None) -> Iterator[None]:
    """Turn what goes wrong with a database into one line that keeps its password to itself."""
    try:
        yield
    except (ModuleNotFoundError, NoSuchModuleError, ImportError) as error:
        cause = error.__cause__ or error
        missing = getattr(cause, "name", None) or str(cause)
        raise UserError(
            f"sweep.storage={_shown(url)}: no driver for it ({missing}); for PostgreSQL"
            " pip install 'psycopg[binary]', for others what SQLAlchemy asks for"
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        inner = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = str(getattr(inner, "orig", None) or inner or error)
        line = " ".join(reason.split())
        if url is not None and url.password:
            line = line.replace(str(url.password), "***")
        raise UserError(f"sweep.storage={_shown(url)}: {line}") from None


def _shown(url: URL | None) -> str:
    return "study.db" if url is None else url.render_as_string(hide_password=True)


class Trial(NamedTuple):
    """A number of the study and the overrides that make its job."""

    number: int
    overrides: list[str]


class Search:
    """One worker's hold on a study.

    Args:
        folder: Of the sweep; its workers lock in it, on a file system that they share.
        space: What is searched, by key.
        trials: How many the study shall have in all, failed ones included.
        storage: Of the study, as Optuna names it: `sqlite:///file`, `postgresql://...`; None:
            `study.db` in the folder.
        study: Its name; None: the folder's.
        seed: Of the sampler; workers that share a study need different ones, or none.
        minimize: The objective is an error, so that the smallest is the best.

    Raises:
        UserError: The study searched another space or in the other direction before, or its storage
            cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        trials: int,
        storage: str | None = None,
        study: str | None = None,
        seed: int | None = None,
        minimize: bool = False,
    ) -> None:
        self.folder, self.space, self.trials = folder, space, trials
        self._held: dict[int, FileLock] = {}
        self._url: URL | None = None
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Two workers would both make the tables.
        direction = StudyDirection.MINIMIZE if minimize else StudyDirection.MAXIMIZE
        with FileLock(folder / ".study.lock"), self._storage_errors():
            opened = open_storage(storage, folder)
            self._url = opened.engine.url
            self._study = optuna.create_study(
                storage=opened,
                study_name=study or folder.name,
                sampler=optuna.samplers.TPESampler(seed=seed),
                direction=direction,
                load_if_exists=True,
            )
        self._require_same_space()
        if self._study.direction != direction:
            raise UserError(
                f"the study {self._study.study_name} has to {self._study.direction.name.lower()}"
                f" its objective, and this search would {direction.name.lower()} it; give this"
                " search another name="
            )

    def take(self, count: int) -> list[Trial]:
        """Up to `count` trials for this worker: those a dead worker left first, then new ones."""
        with FileLock(self.folder / ".study.lock"), self._storage_errors():
            taken = self._abandoned(count)
            while len(taken) < count and len(self._whole()) < self.trials:
                trial = self._study.ask(dict(self.space))
                self._hold(trial.number)
                taken.append(Trial(trial.number, written(trial.params)))
        return taken

    def tell(self, number: int, value: float | None) -> None:
        """Record a trial's objective; None or NaN: it failed."""
        with self._storage_errors():
            if value is None or math.isnan(value):
                self._study.tell(number, state=TrialState.FAIL)
            else:
                self._study.tell(number, value)
        self._held.pop(number).release()

    def report(self) -> str:
        """How many trials there are, in one line."""
        with self._storage_errors():
            states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        counts = {state.name.lower(): states.count(state) for state in dict.fromkeys(states)}
        parts = ", ".join(f"{count} {name}" for name, count in counts.items())
        return f"study {self._study.study_name}: {parts} of {self.trials} trials"

    def _storage_errors(self) -> AbstractContextManager[None]:
        """What a database says in the way of its work becomes one line."""
        return said_without_password(self._url)

    def _abandoned(self, count: int) -> list[Trial]:
        left: list[Trial] = []
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if len(left) == count or trial.number in self._held or not self._hold(trial.number):
                continue
            if trial.params.keys() == self.space.keys():
                left.append(Trial(trial.number, written(trial.params)))
            else:  # its worker died while it drew them
                self.tell(trial.number, None)
        return left

    def _hold(self, number: int) -> bool:
        lock = FileLock(self.folder / ".trials" / f"{number}.lock", timeout=0)
        Path(lock.lock_file).parent.mkdir(exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            return False
        self._held[number] = lock
        return True

    def _whole(self) -> list[optuna.trial.FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.params.keys() == self.space.keys()]

    def _require_same_space(self) -> None:
        for trial in self._whole()[:1]:
            if trial.distributions != dict(self.space):
                raise UserError(
                    f"the study {self._study.study_name} searched other values before: "
                    f"{_changed(trial.distributions, self.space)}; give this search another name="
                )


def split(overrides: Sequence[Override]) -> tuple[list[str], dict[str, BaseDistribution]]:
    """The overrides that stay as they are, and the space that the others span.

    Raises:
        UserError: Nothing is searched, or a range or interval cannot be.
    """
    fixed = [str(o.input_line) for o in overrides if not o.is_sweep_override()]
    space = {o.get_key_element(): _distribution(o) for o in overrides if o.is_sweep_override()}
    if not space:
        raise UserError(
            "nothing to search: give a=1,2 or a=range(1,5) or a=interval(0.1,1) or "
            "'a=tag(log,interval(1e-5,1e-2))'"
        )
    return fixed, space


def written(params: Mapping[str, Any]) -> list[str]:
    """Parameters as overrides; six digits of a float say enough, and read well."""
    return [
        f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in params.items()
    ]


def _distribution(override: Override) -> BaseDistribution:
    value = override.value()
    try:
        if isinstance(value, IntervalSweep):
            assert value.start is not None
            assert value.end is not None
            whole = isinstance(value.start, int) and isinstance(value.end, int)
            kind = IntDistribution if whole else FloatDistribution
            return kind(value.start, value.end, log="log" in value.tags)  # type: ignore[arg-type]
        if isinstance(value, RangeSweep):
            return _steps(value)
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from error


def _steps(value: RangeSweep) -> BaseDistribution:
    values = sorted(value.range())
    if not values:
        raise ValueError("the range is empty")
    step, log = abs(value.step), "log" in value.tags
    if all(isinstance(number, int) for number in values):
        return IntDistribution(values[0], values[-1], log=log, step=int(step))
    if log:
        raise ValueError("a range in fractions has no logarithmic steps; use interval(low,high)")
    return FloatDistribution(values[0], values[-1], step=float(step))


def _changed(before: Space, now: Space) -> str:
    keys = [key for key in before if before[key] != now.get(key)]
    return ", ".join(f"{key} was {before[key]}" for key in keys)
