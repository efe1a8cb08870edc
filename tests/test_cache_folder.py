"""One folder for what was worked out before, wherever it is asked for."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.instantiate import build
from src.paths import cache_folder
from tests.running import write_pairs
from tests.test_configs import composed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of the variable, below a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FINECUT_CACHE", "~/kept")
    return tmp_path / "home" / "kept"


def test_it_is_given_or_the_variables_or_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_folder() == folder
    assert cache_folder("~/x") == folder.parent / "x"
    monkeypatch.setenv("FINECUT_CACHE", "")
    assert cache_folder() == Path("cache")


@pytest.mark.parametrize("name", ["grabcut", "berkeley", "davis_interactive", "objects"])
def test_sets_of_objects_keep_their_lists_there(folder: Path, tmp_path: Path, name: str) -> None:
    (part,) = composed(f"data={name}", "model=dextr").data.test.values()
    part = OmegaConf.merge(part, {"kind": "binary", "part": "all"})
    part.folder = {**part.folder, "images": "images", "masks": "masks", "count": None}
    write_pairs(tmp_path / "sets", 3)
    assert len(build(part)(str(tmp_path / "sets"))) == 3
    assert list(folder.glob("objects-*"))
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "~").exists()
