"""Every learning parameter is in one group, at the rate its name asks for."""

import pytest
import torch
from torch import nn
from torch.optim import Adam

from src.lit_modules.parameter_groups import freeze_norms, parameter_groups, scale_rates


@pytest.fixture
def network() -> nn.Module:
    return nn.ModuleDict(
        {
            "backbone": nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)),
            "head": nn.Sequential(nn.Conv2d(4, 2, 1), nn.GroupNorm(1, 2)),
        }
    )


def test_inspyrenets_rule(network: nn.Module) -> None:
    factors = {"rest": 10, "backbone": 1}
    optimizer = Adam(parameter_groups(network, factors), lr=1e-5, weight_decay=0.1)
    scale_rates(optimizer, factors)
    groups = optimizer.param_groups
    assert [group["name"] for group in groups] == ["backbone", "rest"]
    assert [group["lr"] for group in groups] == pytest.approx([1e-5, 1e-4])
    assert [len(group["params"]) for group in groups] == [4, 4]
    assert all(group["weight_decay"] == 0.1 for group in groups)


def test_covers_each_parameter_once(network: nn.Module) -> None:
    groups = parameter_groups(network, {"backbone.0": 0.1, "backbone": 1, "head": 10})
    found = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(found) == sorted(id(parameter) for parameter in network.parameters())
    assert [group["name"] for group in groups] == ["backbone.0", "backbone", "head"]


def test_the_first_fragment_that_fits_counts(network: nn.Module) -> None:
    first, second, *_ = parameter_groups(network, {"bias": 2, "backbone": 1})
    assert len(first["params"]) == 4
    assert len(second["params"]) == 2


def test_no_factors_make_one_group(network: nn.Module) -> None:
    (group,) = parameter_groups(network, {})
    assert (group["name"], len(group["params"])) == ("rest", 8)


def test_factor_zero_freezes(network: nn.Module) -> None:
    groups = parameter_groups(network, {"backbone": 0})
    assert [group["name"] for group in groups] == ["rest"]
    assert not any(p.requires_grad for p in network["backbone"].parameters())


def test_frozen_norms_are_left_out_but_follow_their_batches(network: nn.Module) -> None:
    freeze_norms(network)
    (group,) = parameter_groups(network, {})
    assert len(group["params"]) == 4
    norm = network["backbone"][1]
    network["backbone"](torch.rand(2, 3, 4, 4))
    assert norm.running_mean.any()


def test_refuses_a_fragment_that_fits_nothing(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"'backbones'.*backbone.0.weight"):
        parameter_groups(network, {"backbones": 1})


def test_refuses_negative_factors_and_nothing_to_learn(network: nn.Module) -> None:
    with pytest.raises(ValueError, match="negative"):
        parameter_groups(network, {"backbone": -1})
    with pytest.raises(ValueError, match="nothing is left"):
        parameter_groups(network.requires_grad_(False), {})
