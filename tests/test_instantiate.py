"""Config nodes become objects; what a node refuses is said with its name."""

from dataclasses import dataclass
from typing import Any

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from src.command_line import literal
from src.errors import UserError
from src.instantiate import build


@dataclass
class Box:
    """Stands for anything that a config names."""

    side: int = 1
    inner: Any = None

    def __post_init__(self) -> None:
        if self.side < 0:
            raise ValueError(f"side is {self.side}")
        if self.side == 0:
            raise UserError("data.side=0 leaves nothing")
        if self.side > 9:
            raise OSError("no room")


def as_given(**values: Any) -> dict[str, Any]:
    return values


def node(**values: Any) -> Any:
    return OmegaConf.create({"_target_": f"{__name__}.Box", **values})


def test_no_node_is_no_object() -> None:
    assert build(None) is None


def test_nested_nodes_become_objects_and_lists_stay_plain() -> None:
    made = build(node(side=2, inner=node(inner=[1, {"a": 2}])))
    assert made == Box(2, Box(1, [1, {"a": 2}]))
    assert type(made.inner.inner) is list
    assert type(made.inner.inner[1]) is dict


def test_arguments_come_before_the_config() -> None:
    assert build(node(side=2), side=3) == Box(3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"side": -1}, r"\.Box: side is -1"),
        ({"width": 1}, r"\.Box: .*unexpected keyword argument 'width'"),
        ({"side": 0}, "^data.side=0 leaves nothing$"),
        ({"inner": node(side=0)}, "^data.side=0 leaves nothing$"),
    ],
)
def test_what_is_refused_is_the_users_to_mend(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(node(**values))


@pytest.mark.parametrize("made", [node(side=10), OmegaConf.create({"_target_": "src.nothing.X"})])
def test_other_failures_keep_their_traceback(made: Any) -> None:
    with pytest.raises(InstantiationException):
        build(made)


@pytest.mark.parametrize("text", ["/a ${x}/b", r"\${oc.env:HOME}", "a: #b", "C:\\"])
def test_text_is_built_with_as_it_is(text: str) -> None:
    node = OmegaConf.create(
        {
            "_target_": f"{__name__}.as_given",
            "plain": literal(text),
            "listed": [literal(text), {"deep": literal(text)}],
            "also": "${plain}",
        }
    )
    expected = {"plain": text, "listed": [text, {"deep": text}], "also": text, "given": text}
    assert build(node, given=text) == expected
