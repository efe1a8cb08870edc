"""What a config says of a set's files, and what is missing in it."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from src.datamodules.sources import CsvTable, FolderPair, parse_sources, require_root
from src.errors import UserError


def test_sources_from_a_config() -> None:
    assert parse_sources(None, "train") == {}
    assert parse_sources({"images": None, "masks": None}, "val") == {}
    assert parse_sources({"images": "a", "masks": "b", "count": None}, "train") == {
        "train": FolderPair("a", "b")
    }
    assert parse_sources({"X": {"csv": "a.csv"}, "Y": None}, "test") == {"X": CsvTable("a.csv")}
    with pytest.raises(UserError, match=r"data\.train\.masks not set"):
        parse_sources({"images": "a", "masks": None}, "train")
    with pytest.raises(UserError, match=r"data\.test\.X has keys .*'imgs'.* known: images, masks"):
        parse_sources({"X": {"images": "a", "masks": "b", "imgs": "c"}}, "test")
    with pytest.raises(UserError, match=r"data\.train is 'a'; give"):
        parse_sources("a", "train")


def test_sources_that_are_made_already_stay() -> None:
    folder, table = FolderPair("a", "b"), CsvTable("c.csv")
    assert parse_sources(folder, "train") == {"train": folder}
    assert parse_sources({"X": folder, "Y": table}, "test") == {"X": folder, "Y": table}


def test_what_hydra_composed_is_read_like_plain_values() -> None:
    node = OmegaConf.create({"X": {"images": ["a", "b"], "masks": "c", "exclude": ["bad"]}})
    (source,) = parse_sources(node, "test").values()
    assert isinstance(source, FolderPair)
    assert source.places == ["a", "c"]
    assert list(source.exclude) == ["bad"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"X": "folder"}, r"data\.test\.X is 'folder'; give it `images` and `masks`, or `csv`"),
        ({"X": {"count": 3}}, r"data\.test\.X\.images and data\.test\.X\.masks not set"),
        ({"csv": "a.csv", "masks": "b"}, r"data\.test has keys \['csv', 'masks'\]; known: csv,"),
        (["a"], r"data\.test is \['a'\]; give"),
    ],
)
def test_mistakes_are_told_with_their_key(given: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_sources(given, "test")


def test_places_are_where_files_are_looked_for_first() -> None:
    assert FolderPair("a", "b").places == ["a", "b"]
    assert FolderPair(["a", "c"], ["b", "d"]).places == ["a", "b"]
    assert CsvTable("a.csv").places == ["a.csv"]


def test_root_is_needed_for_relative_paths_only(tmp_path: Path) -> None:
    require_root(None, [FolderPair(str(tmp_path), "~/masks"), CsvTable(str(tmp_path / "a.csv"))])
    with pytest.raises(UserError, match="so masks starts nowhere"):
        require_root(None, [FolderPair(str(tmp_path), "masks")])
    with pytest.raises(UserError, match=r"data\.root is not set.*FINECUT_DATA"):
        require_root(None, [FolderPair("images", "masks")])


def test_a_root_or_the_home_folder_is_a_start() -> None:
    require_root("somewhere", [FolderPair("images", "masks")])
    require_root(None, [CsvTable("~/sets/a.csv")])
    require_root(None, [])


def test_without_a_list_all_of_the_data_needs_a_root() -> None:
    with pytest.raises(UserError, match="so the data starts nowhere"):
        require_root(None)
