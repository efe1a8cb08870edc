"""A frozen config is what every process of a run reads."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from src.errors import UserError
from src.runs.freeze import config_hash, freeze, resolved, thaw, wait_for_config


def config(**values: object) -> object:
    return OmegaConf.create(
        {"folder": "<run>", "seed": 0, "checkpoints": "${folder}/checkpoints", **values}
    )


def test_a_run_folder_can_be_moved(tmp_path: Path) -> None:
    freeze(config(), tmp_path / "here")  # type: ignore[arg-type]
    (tmp_path / "here").rename(tmp_path / "there")
    assert thaw(tmp_path / "there").checkpoints == f"{tmp_path}/there/checkpoints"


def test_an_unset_value_is_named() -> None:
    with pytest.raises(UserError, match="root"):
        resolved(OmegaConf.create({"data": {"root": "???"}}))


def test_an_unknown_interpolation_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^config: .*nothing") as caught:
        resolved(OmegaConf.create({"a": "${nothing}"}))
    assert "\n" not in str(caught.value)


def test_a_folder_without_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run folder"):
        thaw(tmp_path)
    with pytest.raises(UserError, match="rank 0"):
        wait_for_config(tmp_path, seconds=0)


def test_the_hash_sees_what_is_computed_and_nothing_else() -> None:
    base = {"seed": 0, "data": {"root": "a", "num_workers": 1}, "logger": {}}
    same = {"seed": 0, "data": {"root": "a", "num_workers": 8}, "logger": {"csv": 1}}
    assert config_hash(base) == config_hash(same)
    assert config_hash(base) != config_hash({**base, "seed": 1})
