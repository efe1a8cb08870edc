"""Every recipe composes, and stands for printed numbers that can be compared with its results."""

import copy
import csv
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from src.reporting.reported_results import EXPERIMENTS, ReportedResult, load
from src.training.config import register
from tests.golden_data import SHARED, needs_shared

CONF = Path(__file__).parents[1] / "conf"
RECIPES = sorted(
    str(path.relative_to(EXPERIMENTS).with_suffix("")) for path in EXPERIMENTS.glob("*/*.yaml")
)
PAPERS = sorted(path.parent.name for path in EXPERIMENTS.glob("*/published.csv"))
MEANS = OmegaConf.load(CONF / "tables.yaml").means


@cache
def composed(experiment: str, config: str = "train") -> DictConfig:
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        return compose(config, [f"experiment={experiment}"])


def printed(experiment: str) -> list[ReportedResult]:
    return [row for row in load() if row.experiment == experiment]


def test_every_paper_is_there() -> None:
    assert PAPERS == ["birefnet", "dextr", "inspyrenet", "iog", "isnet", "u2net"]


@pytest.mark.parametrize("experiment", RECIPES)
def test_a_recipe_composes_under_its_own_name(experiment: str) -> None:
    cfg = copy.deepcopy(composed(experiment))  # the other tests see it unresolved
    OmegaConf.resolve(cfg.data)
    OmegaConf.resolve(cfg.model)
    assert cfg.name == experiment
    assert cfg.fit


@pytest.mark.parametrize("experiment", RECIPES)
def test_its_released_weights_can_be_scored(experiment: str) -> None:
    cfg = composed(experiment, "evaluate_checkpoint")
    assert cfg.name == experiment
    assert OmegaConf.to_container(cfg.data) == OmegaConf.to_container(composed(experiment).data)
    assert not cfg.fit


@pytest.mark.parametrize("experiment", RECIPES)
def test_a_recipe_measures_what_was_printed(experiment: str) -> None:
    cfg = composed(experiment)
    tested = {*(cfg.data.get("test") or ())}
    measured = tested | {name for name, of in MEANS.items() if {*of} <= tested}
    for row in printed(experiment):
        if row.compares_with:
            assert row.test_set in measured, row
            assert row.compares_with in cfg.metrics.test, row


@pytest.mark.parametrize("experiment", RECIPES)
def test_its_readme_names_it(experiment: str) -> None:
    text = (EXPERIMENTS / experiment).parent.joinpath("README.md").read_text(encoding="utf-8")
    assert f"`{experiment}`" in text
    if printed(experiment):
        assert "tables.py verify experiment=" in text


def test_printed_rows_belong_to_recipes() -> None:
    known = {*RECIPES, ""}
    assert [row for row in load() if row.experiment not in known] == []


def test_a_printed_number_is_compared_once() -> None:
    keys = [(r.experiment, r.test_set, r.compares_with) for r in load() if r.compares_with]
    assert sorted({*keys}) == sorted(keys)


@needs_shared
def test_printed_numbers_are_the_collected_facts() -> None:
    facts = set()
    for path in (SHARED / "published").glob("[1-58]_*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            facts |= {(r["metric"], r["value"], r["source"]) for r in csv.DictReader(file)}
    for row in load():
        assert any(
            (metric, value) == (row.metric, row.printed) and source.startswith(row.source)
            for metric, value, source in facts
        ), row
