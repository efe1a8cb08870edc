"""Folding changes how fast a network runs, not what it answers."""

import copy

import pytest
import torch
from torch import nn

from src.models import names
from src.networks.fusion import fuse_conv_bn
from src.networks.network import Network, Output
from src.weights.loading import create

SMALL = {
    "inspyrenet_swinb": {"base_size": 64},
    "inspyrenet_res2net50": {"base_size": 64},
}
# Variants without a convolution or norm of another kind.
SAME_LAYERS = {
    "u2net",
    "u2net_human_seg",
    "u2net_portrait",
    "inspyrenet_swinb_1024",
    "dextr_atrous",
    "iog",
    *(name for name in names() if name.startswith("birefnet") and name != "birefnet_lite"),
}
PROMPTS = {"dextr": 4, "dextr_atrous": 4, "iog": 5, "iog_refine": 5, "isnet_gt_encoder": 1}


def trained(name: str) -> nn.Module:
    """A network whose norms are not the identity, as after training."""
    torch.manual_seed(0)
    return with_statistics(create(name, **SMALL.get(name, {})))


def with_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


@pytest.mark.parametrize("name", sorted(set(names()) - SAME_LAYERS))
@torch.inference_mode()
def test_a_folded_network_answers_the_same(name: str) -> None:
    network = trained(name).double()  # rounding out of the way: what is left would be a fault
    image = torch.rand(1, PROMPTS.get(name, 3), 64, 64, dtype=torch.float64)
    expected = [mask.clone() for mask in network(image).masks]
    answered = fuse_conv_bn(network)(image).masks
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for ours, theirs in zip(answered, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * float(theirs.abs().max()))


def test_a_compiled_network_is_saved_and_folded_as_itself() -> None:
    network = with_statistics(Otherwise("another order"))  # small: compiling takes its time
    names = list(network.state_dict())
    network.compile(backend="eager")
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        expected = network(image).masks[0]
        answered = fuse_conv_bn(copy.deepcopy(network))(image).masks[0]
    assert list(network.state_dict()) == names
    torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-5)


class Otherwise(Network):
    """Norms that follow no convolution, and convolutions registered before both norms."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm2, self.norm1 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.order = order

    def forward(self, x: torch.Tensor) -> Output:
        if self.order == "norm behind relu":
            x = self.norm1(self.first(x).relu())
            return Output([self.norm2(self.second(x))], {})
        if self.order == "seen twice":
            seen = self.first(x)
            return Output([self.norm1(seen) + seen], {})
        return Output([self.norm2(self.second(self.norm1(self.first(x)).relu()))], {})


@pytest.mark.parametrize(
    ("order", "left"), [("norm behind relu", 1), ("seen twice", 2), ("another order", 0)]
)
@torch.inference_mode()
def test_norms_are_folded_by_their_use_and_not_by_their_order(order: str, left: int) -> None:
    network = with_statistics(Otherwise(order))
    image = torch.randn(1, 3, 32, 32)
    expected = network(image).masks[0].clone()
    folded = fuse_conv_bn(network)
    torch.testing.assert_close(folded(image).masks[0], expected, rtol=1e-4, atol=1e-5)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == left


def test_a_network_that_would_answer_otherwise_is_left_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = with_statistics(Otherwise("seen twice"))
    fuse_conv_bn(network)
    assert "Otherwise would answer otherwise" in caplog.text


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        fuse_conv_bn(create("u2netp").train())
