"""`key=value` words over a yaml of defaults; what cannot be meant is told in a line."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.errors import UserError
from src.reporting.cli import settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tables.yaml"
    path.write_text("runs: logs\nexperiment: null\ndigits: 3\nmeans:\n  A: [B, C]\n")
    return path


def test_without_words_the_defaults_stand(config: Path) -> None:
    assert settings(config, []) == {
        "runs": "logs",
        "experiment": None,
        "digits": 3,
        "means": {"A": ["B", "C"]},
    }


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("experiment=isnet/dis5k", "experiment", "isnet/dis5k"),
        ("runs=[logs,more]", "runs", ["logs", "more"]),
        ("digits=4", "digits", 4),
        ("experiment=null", "experiment", None),
        ("runs=a=b", "runs", "a=b"),
        ("means.A=[D]", "means", {"A": ["D"]}),
        ("means=null", "means", None),
        ("runs=/x/my run #2", "runs", "/x/my run #2"),
        ("runs=a: b", "runs", "a: b"),
        ("runs=/x/${y}", "runs", "/x/${y}"),
        ("runs=[logs", "runs", "[logs"),
        ("runs=[a #1,b: 2]", "runs", ["a #1", "b: 2"]),
        ("runs=007", "runs", "007"),
        ("experiment=a: #b", "experiment", "a: #b"),
    ],
)
def test_a_word_sets_its_key(config: Path, word: str, key: str, value: object) -> None:
    assert settings(config, [word])[key] == value


def test_the_last_word_counts(config: Path) -> None:
    assert settings(config, ["digits=4", "digits=5"]).digits == 5


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nonsense", "'nonsense' is not key=value; --help lists the keys"),
        ("run=logs", "'run'.*; the keys are runs, experiment, digits, means"),
        ("means.Z=[D]", "; the keys are runs, experiment, digits, means"),
        ("digits=[3", r"digits=\[3"),
        ("means={a", r"means=\{a"),
    ],
)
def test_mistakes_are_told_in_a_line(config: Path, word: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        settings(config, [word])
    assert "\n" not in str(caught.value)


def test_the_file_is_left_as_it_is(config: Path) -> None:
    settings(config, ["digits=9"])
    assert OmegaConf.load(config).digits == 3
