"""Fine-tuning scales every optimizer's rates and holds the norms, in networks of every kind."""

import pytest
import torch
from torch import nn

from src.errors import UserError
from src.lit_modules.parameter_groups import FineTuning, parameter_groups, scale_rates
from tests.lit_modules.test_half_precision import MODELS, OTHER_SIZES, small


class Network(nn.Module):
    """A backbone with a norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 1, 1)


def rates(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, float]:
    named = {id(parameter): name for name, parameter in network.named_parameters()}
    return {named[id(p)]: g["lr"] for g in optimizer.param_groups for p in g["params"]}


def test_one_group_is_divided_into_backbone_and_the_rest() -> None:
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=1.0)
    FineTuning(lr_factor=0.5, backbone_factor=0.1).slow_down(optimizer, network)
    found = rates(optimizer, network)
    assert found["head.weight"] == 0.5
    assert found["backbone.0.weight"] == pytest.approx(0.05)
    assert len(found) == len(list(network.parameters()))


def test_the_recipes_own_groups_keep_their_proportion() -> None:
    network = Network()
    factors = {"backbone": 1, "rest": 10}
    groups = parameter_groups(network, factors)
    optimizer = torch.optim.SGD(groups, lr=1e-5, momentum=0.9, weight_decay=5e-4)
    scale_rates(optimizer, factors)
    FineTuning(lr_factor=0.1, backbone_factor=1).slow_down(optimizer, network)
    found = rates(optimizer, network)
    assert found["backbone.0.weight"] == pytest.approx(1e-6)
    assert found["head.weight"] == pytest.approx(1e-5)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {5e-4}


def test_held_norms_neither_learn_nor_follow_the_batches() -> None:
    network = Network().train()
    FineTuning(freeze_norms=True).prepare(network)
    norm = network.backbone[1]
    before = norm.running_mean.clone()
    network.backbone(torch.randn(2, 3, 4, 4) + 5)
    assert torch.equal(norm.running_mean, before)
    assert not norm.weight.requires_grad
    assert network.head.weight.requires_grad
    assert network.head.training


def test_norms_may_go_on() -> None:
    network = Network().train()
    FineTuning(freeze_norms=False).prepare(network)
    assert network.backbone[1].training
    assert network.backbone[1].weight.requires_grad


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"lr_factor": 0}, "finetune.lr_factor is 0"),
        ({"backbone_factor": -1}, "finetune.backbone_factor -1"),
        ({"replay": 1}, "finetune.replay is 1; it is a share"),
    ],
)
def test_impossible_settings_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FineTuning(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", sorted({*MODELS} - OTHER_SIZES))
def test_every_model_is_slowed_down_by_the_recipe(model: str) -> None:
    from src.training.execute import build_module

    plain, slow = build_module(small(model)), build_module(small(model, "recipe=finetune"))
    ours = rates(slow.make_optimizer(), slow.network)
    theirs = rates(plain.make_optimizer(), plain.network)
    assert ours
    for name, rate in ours.items():
        factor = 0.01 if "backbone" in name else 0.1
        assert rate == pytest.approx(factor * theirs[name]), name
    slow.eval()
    slow.train()
    norms = [m for m in slow.network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert not any(id(p) in ours for norm in norms for p in norm.parameters())
