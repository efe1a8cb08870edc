"""Schemas, yaml files, help and docs/settings.md say the same."""

from collections.abc import Iterator

import pytest
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from src.settings.describe import COMMANDS, markdown
from src.settings.training import DataSettings, ModelSettings, TrainSettings
from tests.running import ROOT
from tests.test_configs import composed

OWN = [name for name, (_, _, yaml) in COMMANDS.items() if yaml]


def own_keys(command: str) -> set[str]:
    """The keys that a command's yaml sets itself."""
    config = OmegaConf.load(ROOT / f"conf/{command}.yaml")
    assert isinstance(config, DictConfig)
    return {str(key) for key in config} - {"defaults", "hydra"}


@pytest.mark.parametrize("command", OWN)
def test_every_key_of_a_yaml_has_a_type(command: str) -> None:
    schema = COMMANDS[command][1]
    parts = {"model", "data", "fit", "callbacks"}  # what a command sets of its groups
    assert own_keys(command) - parts <= set(schema.model_fields)


@pytest.mark.parametrize("command", OWN)
def test_every_typed_key_has_a_default_in_the_yaml(command: str) -> None:
    groups = {"model", "optimizer", "lr_scheduler", "data", "trainer", "metrics"}
    groups |= {"sweep", "launcher", "memory"}
    assert set(COMMANDS[command][1].model_fields) - groups <= own_keys(command)


def described(schema: type[BaseModel]) -> Iterator[str]:
    for name, field in schema.model_fields.items():
        if not field.description:
            yield name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_says_what_it_is_for(command: str) -> None:
    assert list(described(COMMANDS[command][1])) == []


def test_the_page_of_settings_is_that_of_the_schemas() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert page == markdown() + "\n", "python -m src.settings.describe > docs/settings.md"


def test_the_schemas_name_keys_that_models_and_data_have() -> None:
    """A key that no yaml has any more would be documented for nothing."""
    models = [composed(f"model={name}").model for name in ("isnet", "iog_refine")]
    sets = [composed(f"data={name}").data for name in ("synthetic", "dis5k", "synthetic_objects")]
    for schema, configs in ((ModelSettings, models), (DataSettings, sets)):
        known = {key for config in configs for key in config}
        assert {field.alias or key for key, field in schema.model_fields.items()} <= known
    assert set(TrainSettings.model_fields) - {"sweep", "launcher", "memory"} <= set(composed())
