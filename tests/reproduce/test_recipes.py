"""Recipes by name, and their costs."""

import pytest

from src.errors import UserError
from src.reporting.reported_results import load
from src.reproduce.recipes import estimate, named


def test_a_papers_folder_is_all_of_its_recipes() -> None:
    assert {"u2net/u2net", "u2net/u2netp"} <= set(named("u2net"))
    assert named("isnet/dis5k, isnet") == ["isnet/dis5k", "isnet/u2net_dis5k"]


@pytest.mark.parametrize("name", ["", "isnet/absent", "published.csv", ".."])
def test_an_unknown_name_is_answered_with_what_there_is(name: str) -> None:
    with pytest.raises(UserError, match=r"there are .*isnet/dis5k"):
        named(name)


def test_every_row_of_a_paper_says_what_it_costs() -> None:
    for experiment in {row.experiment for row in load()} - {""}:
        assert "GPU hours (estimate): " in (estimate(experiment) or ""), experiment


def test_a_recipe_without_a_line_has_no_estimate() -> None:
    assert estimate("demo") is None
