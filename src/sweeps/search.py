"""A search for the settings with the best objective: an Optuna study that workers share."""

import logging
import math
from collections.abc import Mapping, Sequence
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
from optuna.study import StudyDirection
from optuna.trial import TrialState

from src.errors import UserError
from src.sweeps.storage import Storage

log = logging.getLogger(__name__)
_OWNER = "folder"  # attribute of a trial: which sweep's workers carry it out

Space = Mapping[str, BaseDistribution]


class Trial(NamedTuple):
    """A number of the study and the overrides that make its job."""

    number: int
    overrides: list[str]


class Search:
    """One worker's hold on a study.

    Args:
        folder: Of the sweep; its workers lock in it, on a file system that they share. Workers
            in another folder, with a storage that both reach, take trials of their own.
        space: What is searched, by key.
        trials: How many the study shall have in all, failed ones included.
        storage: Of the study, as Optuna names it: `sqlite:///file`, `postgresql://...`; None:
            `study.db` in the folder.
        study: Its name; None: the folder's.
        seed: Of the sampler; workers that share a study need different ones, or none.
        minimize: The objective is an error, so that the smallest is the best.
        storage_timeout: Seconds to wait for a storage that goes away in mid-search.

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
        storage_timeout: float = 600,
    ) -> None:
        self.folder, self.space, self.trials = folder, space, trials
        self._held: dict[int, FileLock] = {}
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        direction = StudyDirection.MINIMIZE if minimize else StudyDirection.MAXIMIZE
        self._storage = Storage(storage, folder, storage_timeout)
        with self._storage.errors(), self._storage.exclusive():
            self._study = optuna.create_study(
                storage=self._storage.optuna,
                study_name=study or folder.name,
                sampler=optuna.samplers.TPESampler(seed=seed),
                direction=direction,
                load_if_exists=True,
            )
            self._require_same_space()
            given = self._study.direction
        if given != direction:
            raise UserError(
                f"the study {self._study.study_name} has to {given.name.lower()} its objective, and"
                f" this search would {direction.name.lower()} it; give this search another name="
            )

    def take(self, count: int) -> list[Trial]:
        """Up to `count` trials for this worker: those a dead worker left first, then new ones.

        Raises:
            UserError: The storage went away and did not come back.
        """
        return self._storage.patiently(lambda: self._take(count))

    def _take(self, count: int) -> list[Trial]:
        before = set(self._held)
        try:
            with self._storage.exclusive():
                taken = self._abandoned(count)
                while len(taken) < count and len(self._whole()) < self.trials:
                    trial = self._study.ask(dict(self.space))
                    trial.set_user_attr(_OWNER, self._storage.owner)
                    self._hold(trial.number)
                    taken.append(Trial(trial.number, written(trial.params)))
        except BaseException:
            # The next try, or another worker, finds them abandoned.
            for number in self._held.keys() - before:
                self._held.pop(number).release()
            raise
        return taken

    def tell(self, number: int, value: float | None) -> None:
        """Record a trial's objective; None or NaN: it failed.

        Raises:
            UserError: The storage went away and did not come back.
        """
        self._storage.patiently(lambda: self._tell(number, value))
        self._held.pop(number).release()

    def _tell(self, number: int, value: float | None) -> None:
        # It may have been written although the answer was lost.
        states = {t.number: t.state for t in self._study.get_trials(deepcopy=False)}
        if number in states and states[number].is_finished():
            log.info("trial %d is recorded already", number)
        elif value is None or math.isnan(value):
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, value)

    def report(self) -> str:
        """How many trials there are, in one line."""
        trials = self._storage.patiently(lambda: self._study.get_trials(deepcopy=False))
        states = [trial.state for trial in trials]
        counts = {state.name.lower(): states.count(state) for state in dict.fromkeys(states)}
        parts = ", ".join(f"{count} {name}" for name, count in counts.items())
        return f"study {self._study.study_name}: {parts} of {self.trials} trials"

    def _abandoned(self, count: int) -> list[Trial]:
        """Trials of this folder that nobody holds; also those whose worker died before it had all
        parameters, which are recorded as failed.
        """
        left: list[Trial] = []
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Without an owner: its worker died in `_take`, which nobody else is in now.
            owner = trial.user_attrs.get(_OWNER)
            if owner not in (None, self._storage.owner):
                continue
            if len(left) == count or trial.number in self._held or not self._hold(trial.number):
                continue
            if owner is None:
                optuna.Trial(self._study, trial._trial_id).set_user_attr(
                    _OWNER, self._storage.owner
                )
            if trial.params.keys() == self.space.keys():
                left.append(Trial(trial.number, written(trial.params)))
            else:
                self._tell(trial.number, None)
                self._held.pop(trial.number).release()
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
