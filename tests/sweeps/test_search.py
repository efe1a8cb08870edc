"""A study that workers share: what is searched, who has which trial, what a dead worker leaves."""

import re
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_plugins.finecut_optuna import is_error
from src.errors import UserError
from src.sweeps.search import Search, Space, split, written

SPACE: Space = {
    "lr": FloatDistribution(1e-4, 1e-2, log=True),
    "model": CategoricalDistribution(["a", "b"]),
}


def parsed(*overrides: str) -> tuple[list[str], Space]:
    return split(OverridesParser.create().parse_overrides(list(overrides)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("x=interval(1,2)", FloatDistribution(1.0, 2.0)),
        ("x=tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("x=int(interval(1,8))", IntDistribution(1, 8)),
        ("x=range(1,8,2)", IntDistribution(1, 7, step=2)),
        ("x=range(0,1,0.25)", FloatDistribution(0.0, 0.75, step=0.25)),
        ("x=1,2", CategoricalDistribution(["1", "2"])),
        ("x=choice(adam,sgd)", CategoricalDistribution(["adam", "sgd"])),
        ("+x=null,[1,2]", CategoricalDistribution(["null", "[1,2]"])),
    ],
)
def test_hydras_words_for_a_sweep_span_the_space(override: str, expected: object) -> None:
    fixed, space = parsed("data=synthetic", override)
    assert fixed == ["data=synthetic"]
    assert list(space.values()) == [expected]
    assert list(space) == [override.split("=")[0]]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("x=1", "nothing to search"),
        ("x=interval(2,1)", r"x=interval\(2,1\)"),
        ("x=tag(log,interval(0,1))", r"x=tag\(log"),
        ("x=range(3,3)", "the range is empty"),
        ("x=tag(log,range(0.1,1,0.1))", "no logarithmic steps"),
    ],
)
def test_what_cannot_be_searched_is_said(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parsed(override)


def test_parameters_are_written_as_hydra_reads_them() -> None:
    texts = written({"lr": 0.000123456789, "weight": 1e-05, "model": "a", "n": 3})
    assert texts == ["lr=0.000123457", "weight=1e-05", "model=a", "n=3"]
    values = [o.value() for o in OverridesParser.create().parse_overrides(texts)]
    assert values == [0.000123457, 1e-05, "a", 3]


def test_workers_share_the_trials_and_no_two_have_the_same(tmp_path: Path) -> None:
    one, other = (Search(tmp_path, SPACE, trials=5) for _ in range(2))
    numbers = []
    while taken := [*one.take(1), *other.take(2)]:
        for worker in (one, other):
            for trial in taken:
                if trial.number in worker._held:
                    worker.tell(trial.number, 0.5)
        numbers += [trial.number for trial in taken]
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert one.report() == f"study {tmp_path.name}: 5 complete of 5 trials"


def test_a_dead_workers_trial_is_carried_out_with_its_parameters(tmp_path: Path) -> None:
    dead = Search(tmp_path, SPACE, trials=2)
    (left,) = dead.take(1)
    alive = Search(tmp_path, SPACE, trials=2)
    (own,) = alive.take(1)
    assert own.number != left.number, "its worker lives"
    assert alive.take(5) == []

    dead._held[left.number].release()  # as the system does when a process ends
    assert alive.take(5) == [left]
    alive.tell(left.number, 0.7)
    alive.tell(own.number, 0.2)
    assert alive.take(1) == []


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_failed_trial_is_recorded_and_the_rest_go_on(tmp_path: Path, value: float | None) -> None:
    search = Search(tmp_path, SPACE, trials=2)
    (first,) = search.take(1)
    search.tell(first.number, value)
    (second,) = search.take(1)
    search.tell(second.number, 0.5)
    assert search.take(1) == []
    assert search.report() == f"study {tmp_path.name}: 1 fail, 1 complete of 2 trials"


def test_more_trials_continue_a_study(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, trials=1)
    search.tell(search.take(1)[0].number, 0.5)
    assert [trial.number for trial in Search(tmp_path, SPACE, trials=3).take(9)] == [1, 2]


def test_a_seeded_search_draws_the_same(tmp_path: Path) -> None:
    drawn = [Search(tmp_path / n, SPACE, trials=2, seed=3).take(2) for n in ("a", "b")]
    assert drawn[0] == drawn[1]
    assert re.fullmatch(r"lr=0\.00\d+", drawn[0][0].overrides[0])


def test_another_space_needs_another_study(tmp_path: Path) -> None:
    Search(tmp_path, SPACE, trials=1).take(1)
    with pytest.raises(UserError, match=r"lr was FloatDistribution.* another name="):
        Search(tmp_path, {**SPACE, "lr": FloatDistribution(0, 1)}, trials=1)


def test_an_error_is_minimized_and_a_study_keeps_its_direction(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, trials=2, minimize=True)
    for trial, error in zip(search.take(2), (0.3, 0.1), strict=True):
        search.tell(trial.number, error)
    assert search._study.best_value == 0.1
    with pytest.raises(UserError, match=r"has to minimize its objective, .* another name="):
        Search(tmp_path, SPACE, trials=3)


@pytest.mark.parametrize(
    ("objective", "extra", "expected"),
    [
        ("max_f", None, False),
        ("sad", None, True),
        ("off", {"off": {"_target_": "torchmetrics.MeanAbsoluteError"}}, True),
    ],
)
def test_the_metric_says_in_which_direction_a_search_goes(
    objective: str, extra: dict[str, Any] | None, expected: bool
) -> None:
    config = OmegaConf.create({"objective": objective, "metrics": {"extra": extra}})
    assert is_error(config) is expected
