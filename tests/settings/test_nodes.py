"""Arguments of a config node are compared with what its target's constructor takes."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt
from omegaconf import DictConfig

from src.errors import CommandError, UserError
from src.settings.nodes import check_nodes

HERE = "tests.settings.test_nodes"


class Target:
    def __init__(
        self,
        rate: Annotated[float, Gt(0)] = 1.0,
        kind: Literal["a", "b"] = "a",
        small: bool = False,
        count: int | None = None,
        child: Any = None,
    ) -> None: ...


def takes_anything(rate: float, **rest: Any) -> None: ...


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])


def node(**arguments: Any) -> DictConfig:
    return DictConfig({"part": {"_target_": f"{HERE}.Target", **arguments}})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"rate": 0}, "part.rate=0: give a number above 0"),
        ({"rate": "abc"}, "part.rate=abc: give a number above 0"),
        ({"rate": float("nan")}, "part.rate=nan: give a number above 0"),
        ({"kind": "c"}, "part.kind=c: give one of a, b"),
        ({"small": "maybe"}, "part.small=maybe: give true or false"),
        ({"count": 1.5}, "part.count=1.5: give a whole number, or null"),
        ({"ratte": 1}, f"part.ratte: {HERE}.Target takes no ratte; did you mean rate?"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(CommandError) as error:
        check_nodes(node(**arguments))
    assert str(error.value) == line


def test_a_word_for_a_flag_becomes_one() -> None:
    assert check_nodes(node(small="no")).part.small is False


def test_nodes_within_nodes_are_looked_at() -> None:
    inner = {"_target_": f"{HERE}.Target", "rate": -1}
    with pytest.raises(CommandError, match=r"part\.child\.rate=-1"):
        check_nodes(node(child=inner))
    with pytest.raises(CommandError, match=r"part\.child\[0\]\.rate=-1"):
        check_nodes(node(child=[inner]))


def test_further_arguments_are_taken_where_the_target_takes_any() -> None:
    check_nodes(DictConfig({"part": {"_target_": f"{HERE}.takes_anything", "rate": 1, "x": 2}}))


@pytest.mark.parametrize("target", ["nowhere.Thing", f"{HERE}.Nothing", "", "a b"])
def test_a_target_that_cannot_be_imported_is_one_line(target: str) -> None:
    with pytest.raises(UserError) as error:
        check_nodes(DictConfig({"part": {"_target_": target}}))
    assert len(str(error.value).splitlines()) == 1
    assert "part._target_" in str(error.value)


def test_the_same_fault_of_a_copy_is_said_once() -> None:
    config = DictConfig({"model": node(rate=0), "data": node(rate=0)})
    with pytest.raises(CommandError) as error:
        check_nodes(config)
    assert str(error.value).count("rate") == 1
