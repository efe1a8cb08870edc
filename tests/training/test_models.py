"""The models of conf/model, composed whether or not Hydra runs a program already."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException

from src.training.config import composed, names
from tests.running import ROOT


def test_names_are_of_models_and_not_of_what_they_share() -> None:
    found = names()
    assert found == sorted(found)
    assert {"isnet", "u2netp", "inspyrenet_swinb", "dextr", "iog_refine"} <= set(found)
    assert not any(name.startswith("base") for name in found)


def test_a_model_is_the_group_by_itself() -> None:
    model = composed("u2netp")
    assert model.name == "u2netp"
    assert model.network._target_ == "src.networks.u2net.U2Net"
    assert not GlobalHydra.instance().is_initialized()


def test_a_program_that_hydra_runs_goes_on_afterwards() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        outer = GlobalHydra.instance().hydra
        assert composed("isnet").name == "isnet"
        assert GlobalHydra.instance().hydra is outer
        assert compose("tables").digits == 3


def test_a_failure_leaves_the_program_running_too() -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        outer = GlobalHydra.instance().hydra
        with pytest.raises(MissingConfigException, match="u3net"):
            composed("u3net")
        assert GlobalHydra.instance().hydra is outer
