"""The models of conf/model, composed whether or not Hydra runs a program already."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException

from src.errors import UserError
from src.models import build_untrained, composed, guided_by_clicks, names, own_hydra
from src.paths import CONF
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
        with (
            pytest.raises(MissingConfigException, match="u3net"),
            own_hydra(),
            initialize_config_dir(str(CONF), version_base=None),
        ):
            compose(overrides=["+model=u3net"])
        assert GlobalHydra.instance().hydra is outer


def test_an_unknown_model_is_named_beside_the_known() -> None:
    with pytest.raises(UserError, match="no model is called 'u3net'; choose one of birefnet, "):
        composed("u3net")


def test_a_network_is_built_without_imagenets_weights_and_with_other_arguments() -> None:
    node = composed("iog").network
    assert node.pretrained is True
    network = build_untrained(node, backbone="resnet18")
    assert sum(parameter.numel() for parameter in network.parameters()) < 30e6
    assert node.backbone == "resnet101"


def test_models_with_clicks_are_those_with_prompts() -> None:
    assert guided_by_clicks() == "dextr, dextr_atrous, iog, iog_refine"
