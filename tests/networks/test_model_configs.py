"""Every model config builds a network that keeps the `Output` contract."""

import copy
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from src.networks.blocks import allow_single_values
from src.networks.fusion import fuse_conv_bn
from src.networks.network import Network, Output, require_network
from src.networks.summary import activation_bytes
from src.training.config import register
from src.weights.loading import create, load_official, to_official

CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted(p.stem for p in (CONF / "model").glob("*.yaml") if not p.stem.startswith("base"))
# Those of a network of their own; the others are other weights, or another size, of one of these.
OTHER_SIZES = {"u2net_human_seg", "u2net_portrait", "inspyrenet_swinb_1024"}
OTHER_SIZES |= {name for name in MODELS if name.startswith("birefnet")} - {"birefnet_lite"}
NETWORKS = sorted(set(MODELS) - OTHER_SIZES)


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


@cache
def unfilled(name: str) -> nn.Module:
    """The same without memory: to fill 90 million weights takes seconds."""
    with torch.device("meta"):
        return create(name)


def channels(cfg: DictConfig) -> int:
    """Of the network's input; prompts have as many maps as the model's clicks draw."""
    prompt = 1 if cfg.name.startswith("dextr") else 2
    return sum(CHANNELS.get(key, prompt) for key in cfg.inputs)


@pytest.mark.parametrize("name", MODELS)
def test_builds_and_takes_its_own_size(name: str) -> None:
    cfg, network = model(name), unfilled(name)
    network.check_size(*instantiate(cfg.processor, _convert_="all").size)
    assert cfg.name == name
    assert network.input_channels() == channels(cfg)


@pytest.mark.parametrize("name", NETWORKS)
def test_upstream_keys_make_a_round_trip(name: str) -> None:
    network, other = built(name), copy.deepcopy(unfilled(name)).to_empty(device="cpu")
    load_official(other, to_official(network))
    ours, theirs = network.state_dict(), other.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_a_network_that_answers_everything(name: str) -> None:
    network = built(name)
    assert isinstance(network, Network)
    with torch.inference_mode():
        image = torch.rand(1, network.input_channels(), 64, 64)
        output = network(image)
        assert tuple(output.features) == network.feature_names
        if network.refines:
            features = network.encode(image)
            again = network.decode(features, image[:, 3:])
            torch.testing.assert_close(again.masks[0], output.masks[0])
        if network.blends:
            assert network.forward_blended(image, image).masks[0].shape == (1, 1, 64, 64)
    assert network.refines == ("refine" in name)
    assert network.blends == name.startswith("inspyrenet")
    assert all(isinstance(norm, nn.BatchNorm2d) for _, norm in network.commuting_norms())


@pytest.mark.parametrize("name", sorted({*NETWORKS} - {"dextr", "iog"}))
def test_it_keeps_less_where_memory_is_short(name: str) -> None:
    network = allow_single_values(copy.deepcopy(built(name))).train()
    image = torch.rand(1, channels(model(name)), 64, 64)
    without = activation_bytes(network, image)
    network.set_grad_checkpointing()
    assert activation_bytes(network, image) < 0.6 * without
    network.set_grad_checkpointing(False)
    assert activation_bytes(network, image) == without


def test_a_plain_module_is_refused_with_what_to_change() -> None:
    with pytest.raises(ValueError, match=r"Linear is no Network: derive the class from src\."):
        require_network(nn.Linear(1, 1))


class Picky(Network):
    """Takes multiples of 32, at least 64."""

    min_side, side_multiple = 64, 32

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(5, 1, 3), nn.BatchNorm2d(1)

    def forward(self, x: torch.Tensor) -> Output:
        assert x.shape[2] % 32 == 0
        return Output([self.norm(self.conv(x))], {})


def test_sizes_that_a_network_does_not_take_are_named_and_not_tried() -> None:
    network = Picky().eval()
    network.check_size(64, 96)
    for size in ((32, 64), (64, 65)):
        with pytest.raises(
            ValueError, match=r"Picky does not take .* multiples of 32, at least 64"
        ):
            network.check_size(*size)
    assert isinstance(fuse_conv_bn(network).norm, nn.Identity)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", SIZES)
def test_the_prediction_has_the_size_of_the_input(name: str, size: tuple[int, int]) -> None:
    cfg, multiple = model(name), built(name).side_multiple
    size = (-(-size[0] // multiple) * multiple, -(-size[1] // multiple) * multiple)
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
    assert len(model(name).losses.side_outputs.weights) == len(output.masks)


@pytest.mark.parametrize("name", NETWORKS)
def test_docstrings_tell_the_number_of_parameters(name: str) -> None:
    network = unfilled(name)
    count = sum(p.numel() for p in network.parameters()) / 1e6
    text = type(network).__doc__ or ""
    assert f"{count:.1f} M" in text, f"{name}: {count:.1f} M parameters"
