"""Every model config builds a network that keeps the `Output` contract."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from src.networks.catalogue import NETWORKS, create

CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted(p.stem for p in (CONF / "model").glob("*.yaml") if not p.stem.startswith("base"))



def model(name: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base=None):
        return compose("train", [f"model={name}"]).model


@pytest.mark.parametrize("name", MODELS)
def test_builds_and_loads_its_own_state(name: str) -> None:
    cfg = model(name)
    network = instantiate(cfg.network, _convert_="all")
    network.load_state_dict(network.state_dict())
    assert cfg.name == name
    assert instantiate(cfg.geometry, _convert_="all").size


@pytest.mark.parametrize("name", [m for m in MODELS if m in NETWORKS])
def test_is_the_catalogues_network(name: str) -> None:
    """The config and `weights.build(name)` make the same network."""
    ours = instantiate(model(name).network, _convert_="all").state_dict()
    theirs = create(name).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@pytest.mark.parametrize("name", ["isnet", "isnet_gt_encoder", "u2net", "u2netp"])
@pytest.mark.parametrize("size", [(64, 64), (96, 160), (65, 87), (32, 32)])
def test_masks_have_the_size_of_the_input(name: str, size: tuple[int, int]) -> None:
    cfg = model(name)
    network = instantiate(cfg.network, _convert_="all").eval()
    channels = 1 if list(cfg.inputs) == ["mask"] else 3
    with torch.inference_mode():
        output = network(torch.rand(1, channels, *size))
    assert [mask.shape for mask in output.masks] == [(1, 1, *size)] * len(output.masks)
    assert list(output.features) == [f"stage{i}" for i in range(1, 7)]
    assert len(cfg.losses.sides.weights) == len(output.masks)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("isnet", 44.05), ("isnet_gt_encoder", 6.88), ("u2net", 44.01), ("u2netp", 1.13)],
)
def test_parameter_counts_of_the_docstrings(name: str, millions: float) -> None:
    count = sum(p.numel() for p in create(name).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.01)
