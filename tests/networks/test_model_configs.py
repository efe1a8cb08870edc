"""Every model config builds a network that keeps the `Output` contract."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from src.training.config import register
from src.weights.loading import NETWORKS, create, load_official, to_official

CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted(p.stem for p in (CONF / "model").glob("*.yaml") if not p.stem.startswith("base"))


@cache
def model(name: str) -> DictConfig:
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        return compose("train", [f"model={name}"]).model


CHANNELS = {"image": 3, "mask": 1}
SIZES = [(64, 64), (96, 160), (65, 87)]


@cache
def built(name: str) -> nn.Module:
    network = model(name).network
    if "pretrained" in network:
        network.pretrained = False  # no downloads in tests
    return instantiate(network, _convert_="all").eval()


def channels(cfg: DictConfig) -> int:
    """Of the network's input; prompts have as many maps as the model's clicks draw."""
    prompt = 1 if cfg.name.startswith("dextr") else 2
    return sum(CHANNELS.get(key, prompt) for key in cfg.inputs)


@pytest.mark.parametrize("name", MODELS)
def test_builds_and_loads_its_own_state(name: str) -> None:
    cfg, network = model(name), built(name)
    network.load_state_dict(network.state_dict())
    assert cfg.name == name
    assert instantiate(cfg.processor, _convert_="all").size


@pytest.mark.parametrize("name", [m for m in MODELS if m in NETWORKS])
def test_is_the_catalogues_network(name: str) -> None:
    """The config and `weights.build(name)` make the same network."""
    with torch.device("meta"):
        theirs = create(name).state_dict()
    assert {k: v.shape for k, v in built(name).state_dict().items()} == {
        k: v.shape for k, v in theirs.items()
    }


@pytest.mark.parametrize("name", [m for m in MODELS if m in NETWORKS])
def test_official_names_make_a_round_trip(name: str) -> None:
    network, other = built(name), create(name)
    load_official(other, to_official(network))
    ours, theirs = network.state_dict(), other.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", SIZES)
def test_the_prediction_has_the_size_of_the_input(name: str, size: tuple[int, int]) -> None:
    cfg = model(name)
    with torch.inference_mode():
        output = built(name)(torch.rand(1, channels(cfg), *size))
    assert output.masks[0].shape == (1, 1, *size)
    areas = [mask.shape[2] * mask.shape[3] for mask in output.masks]
    assert areas == sorted(areas, reverse=True), "finest first"
    assert all(mask.shape[:2] == (1, 1) for mask in output.masks)
    assert all(feature.ndim == 4 for feature in output.features.values())


@pytest.mark.parametrize("name", ["isnet", "isnet_gt_encoder", "u2net", "u2netp"])
def test_residual_u_nets_name_six_stages(name: str) -> None:
    with torch.inference_mode():
        output = built(name)(torch.rand(1, channels(model(name)), 64, 64))
    assert list(output.features) == [f"stage{i}" for i in range(1, 7)]
    assert len(model(name).losses.sides.weights) == len(output.masks)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_docstrings_tell_the_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        network = create(name)
    count = sum(p.numel() for p in network.parameters()) / 1e6
    text = type(network).__doc__ or ""
    assert f"{count:.1f} M" in text, f"{name}: {count:.1f} M parameters"
