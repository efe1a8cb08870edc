"""Values that people type reach the config as they meant them."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from src.command_line import as_overrides


def value(word: str) -> object:
    (word,) = as_overrides([word])
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.root=~/sets", str(Path.home() / "sets")),
        ("data.root=/my photos (new)/x", "/my photos (new)/x"),
        ("ckpt=logs/<run>/best.ckpt", "logs/<run>/best.ckpt"),
        ("input=it's.jpg", "it's.jpg"),
        ("output=#ff8800", "#ff8800"),
        ("output=[mask,#ff8800]", ["mask", "#ff8800"]),
        ("output='#ff8800'", "#ff8800"),
        ("seed=3", 3),
        ("data.root=null", None),
    ],
)
def test_a_value_is_what_was_typed(word: str, expected: object) -> None:
    assert value(word) == expected


@pytest.mark.parametrize(
    "word",
    ["seed=0,1,2", "lr=tag(log,interval(1e-5,1e-2))", "data@base=dis5k", "~logger", "-m", "--help"],
)
def test_what_hydra_reads_stays(word: str) -> None:
    assert as_overrides([word]) == [word]


def test_the_flag_of_predict() -> None:
    assert as_overrides(["--skip-existing"]) == ["skip_existing=true"]
