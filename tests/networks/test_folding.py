"""Folding changes how fast a network runs, not what it answers."""

import copy

import pytest
import torch
from torch import nn

from src.networks.catalogue import NETWORKS, create
from src.networks.folding import fold

SMALL = {
    "inspyrenet_swinb": {"base_size": 64},
    "inspyrenet_res2net50": {"base_size": 64},
}
PROMPTS = {"dextr": 4, "dextr_atrous": 4, "iog": 5, "iog_refine": 5, "isnet_gt_encoder": 1}


def trained(name: str) -> nn.Module:
    """A network whose norms are not the identity, as after training."""
    torch.manual_seed(0)
    network = create(name, **SMALL.get(name, {})).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


# The other variants have no convolution or norm of another kind.
@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"u2net", "dextr_atrous", "iog"}))
@torch.inference_mode()
def test_a_folded_network_answers_the_same(name: str) -> None:
    network = trained(name).double()  # rounding out of the way: what is left would be a fault
    image = torch.rand(1, PROMPTS.get(name, 3), 64, 64, dtype=torch.float64)
    expected = [mask.clone() for mask in network(image).masks]
    answered = fold(network)(image).masks
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for ours, theirs in zip(answered, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9 * float(theirs.abs().max()))


def test_a_compiled_network_is_saved_and_folded_as_itself() -> None:
    network = create("u2netp").eval()
    names = list(network.state_dict())
    network.compile(backend="eager")
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(image).masks[0]
        answered = fold(copy.deepcopy(network))(image).masks[0]
    assert list(network.state_dict()) == names
    torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-5)


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        fold(create("u2netp").train())
